//! What planted faults have in common, whatever the language.

/// The relation or connective that takes the place of another.
pub(super) fn opposite(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "<" => "<=",
        "<=" => "<",
        ">" => ">=",
        ">=" => ">",
        "==" => "!=",
        "!=" => "==",
        "&&" => "||",
        "||" => "&&",
        _ => return None,
    })
}

/// Keeps at most `most`, evenly over all.
pub(super) fn spread<T>(all: &mut Vec<T>, most: usize) {
    let count = all.len();
    if count > most {
        let mut place = 0;
        all.retain(|_| {
            place += 1;
            place * most / count != (place - 1) * most / count
        });
    }
}
