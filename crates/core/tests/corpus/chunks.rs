//! A text in pieces.

/// Cuts a text into pieces of 0 to 64 bytes, or of 0 to 4,096, by a seed.
pub(crate) struct Chunks<'a> {
    rest: &'a [u8],
    state: u32,
    largest: u32,
}

impl<'a> Chunks<'a> {
    pub(crate) fn new(text: &'a [u8], seed: u8) -> Self {
        Self { rest: text, state: u32::from(seed), largest: if seed.is_multiple_of(2) { 64 } else { 4_096 } }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        // Numerical Recipes' linear congruential generator; its high bits are the good ones.
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = ((self.state >> 16) % (self.largest + 1)) as usize;
        let (chunk, rest) = self.rest.split_at(size.min(self.rest.len()));
        self.rest = rest;
        Some(chunk)
    }
}
