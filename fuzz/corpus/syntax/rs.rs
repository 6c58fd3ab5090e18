C#![allow(x)]
//! Doc.
mod tests { #[test] fn t() {} }
impl<T: A> B<T> for C<'_, { 1 + 1 }> where T: Copy {
    async fn f(&self, mut a: u8) -> Result<(), E> {
        let Some(x) = a else { return Ok(()) };
        'l: for i in 0..=9 { if let Some(y) = x && y > 1 || i == b'x' { break 'l; } }
        match x { 1 | 2 if a > 0 => vec![if a { 1 } else { 2 }], _ => loop { x?; } }
        let r = r#"raw "# ; unsafe { (|| -> u8 { a as _ })() };
        macro_rules! m { ($a:expr) => { $a && true } }
    }
}
/* /* nested */ */
