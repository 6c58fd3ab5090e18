//! Cutting a line off a read buffer without holding more memory than the line is worth.

use bytes::{Buf, Bytes, BytesMut};

/// From this length a line takes the buffer's memory along; a shorter one is copied. Copying this much costs less
/// than scanning it, and a short line that is kept (a queued message, a cached reply) must not keep the room that
/// was read with it.
const SHARED: usize = 32 * 1024;

/// Takes the first `length` bytes and drops the one after them, the line's end.
pub(super) fn cut(buffer: &mut BytesMut, length: usize) -> Bytes {
    if length < SHARED {
        let line = Bytes::copy_from_slice(&buffer[..length]);
        buffer.advance(length + 1);
        return line;
    }
    let mut line = buffer.split_to(length + 1);
    if buffer.len() <= length {
        // The room goes with the line, or one long line would make it stay for the connection's life. Never more
        // is copied than was taken, so the work stays linear.
        *buffer = BytesMut::from(&buffer[..]);
    }
    line.truncate(length);
    line.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_short_line_does_not_hold_the_read_buffer() {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        buffer.extend_from_slice(b"short\nrest");
        let room = buffer.as_ptr_range();
        let line = cut(&mut buffer, 5);
        assert_eq!((&line[..], &buffer[..]), (&b"short"[..], &b"rest"[..]));
        assert!(!room.contains(&line.as_ptr()));
    }

    #[test]
    fn a_long_line_is_not_copied_and_leaves_no_room_behind() {
        let mut buffer = BytesMut::from(&vec![b'x'; 1024 * 1024][..]);
        buffer.extend_from_slice(b"\nrest");
        let start = buffer.as_ptr();
        let line = cut(&mut buffer, 1024 * 1024);
        assert_eq!((line.as_ptr(), line.len(), &buffer[..]), (start, 1024 * 1024, &b"rest"[..]));
        assert!(buffer.capacity() < 1024);
    }
}
