//! Objects that one child of git writes: it takes them as a pack on its standard input, and stores each by itself, the way
//! that it stores all others.

use gix::hash::ObjectId;
use gix::objs::Kind;

use crate::GitError;

/// The longest block that is stored as it is.
const BLOCK: usize = 65_535;

/// Objects in the order in which they were added, none of them as a difference to another one.
pub(crate) struct Pack {
    format: gix::hash::Kind,
    count: u32,
    entries: Vec<u8>,
}

impl Pack {
    pub(crate) fn new(format: gix::hash::Kind) -> Self {
        Self { format, count: 0, entries: Vec::new() }
    }

    /// Adds an object; gives the id that git will give it.
    pub(crate) fn add(&mut self, kind: Kind, data: &[u8]) -> Result<ObjectId, GitError> {
        let id = gix::objs::compute_hash(self.format, kind, data).map_err(unhashed)?;
        self.entries.extend(header(kind, data.len()));
        store(data, &mut self.entries);
        self.count += 1;
        Ok(id)
    }

    /// The whole pack: version 2, and the hash of all of it.
    pub(crate) fn finish(self) -> Result<Vec<u8>, GitError> {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        pack.extend(self.count.to_be_bytes());
        pack.extend(self.entries);
        let mut hasher = gix::hash::hasher(self.format);
        hasher.update(&pack);
        pack.extend_from_slice(hasher.try_finalize().map_err(unhashed)?.as_bytes());
        Ok(pack)
    }
}

fn unhashed(error: gix::Error) -> GitError {
    GitError::unreadable("an object that is to be written", error)
}

/// Kind and size: four bits of the size in the first byte, seven in each that follows.
fn header(kind: Kind, size: usize) -> Vec<u8> {
    let kind = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let (mut bytes, mut group, mut rest) = (Vec::new(), kind << 4 | low_bits(size, 0x0f), size >> 4);
    while rest > 0 {
        bytes.push(group | 0x80);
        (group, rest) = (low_bits(rest, 0x7f), rest >> 7);
    }
    bytes.push(group);
    bytes
}

fn low_bits(number: usize, mask: u8) -> u8 {
    u8::try_from(number & usize::from(mask)).expect("the mask leaves one byte")
}

/// Zlib without compression: git compresses what it stores.
fn store(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x78, 0x01]);
    let mut blocks = data.chunks(BLOCK).peekable();
    if blocks.peek().is_none() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a block is not longer");
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&adler32(data).to_be_bytes());
}

/// The checksum at the end of a zlib stream.
fn adler32(data: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    // As many sums as cannot overflow.
    let (low, high) = data.chunks(5_552).fold((1_u32, 0_u32), |(low, high), chunk| {
        let (low, high) = chunk.iter().fold((low, high), |(low, high), byte| {
            let low = low + u32::from(*byte);
            (low, high + low)
        });
        (low % MODULUS, high % MODULUS)
    });
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_sums_are_those_of_the_formats() {
        assert_eq!(header(Kind::Blob, 0), [0x30]);
        assert_eq!(header(Kind::Commit, 15), [0x1f]);
        assert_eq!(header(Kind::Tree, 16), [0xa0, 0x01]);
        assert_eq!(header(Kind::Blob, 1 << 11), [0xb0, 0x80, 0x01]);
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        // The sums are taken modulo a prime before they overflow.
        assert_eq!(adler32(&[0xff; 100_000]), 0x149a_302c);
    }
}
