//! UTF-8 that comes in pieces (RFC 3629).

/// Checks a text piece by piece; a piece may end within a character.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// The beginning of a character that the last piece ended within.
    begun: [u8; 4],
    length: usize,
}

impl Utf8 {
    /// Checks the next piece; the error is the offset of the fault in it.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while self.length > 0 {
            let Some(byte) = piece.get(at) else { return Ok(()) };
            self.begun[self.length] = *byte;
            self.length += 1;
            match std::str::from_utf8(&self.begun[..self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(at),
            }
            at += 1;
        }
        match std::str::from_utf8(&piece[at..]) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let rest = &piece[at + error.valid_up_to()..];
                self.begun[..rest.len()].copy_from_slice(rest);
                self.length = rest.len();
                Ok(())
            }
            Err(error) => Err(at + error.valid_up_to()),
        }
    }

    /// Whether the text so far ends with a whole character.
    pub(super) fn is_whole(&self) -> bool {
        self.length == 0
    }
}
