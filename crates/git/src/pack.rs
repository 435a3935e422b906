//! Objects that one child of git writes: it takes them as a pack on its standard input, and stores each by itself, the way
//! that it stores all others.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::hash::ObjectId;
use gix::objs::Kind;

use crate::GitError;

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
        // Git compresses what it stores.
        let mut stream = ZlibEncoder::new(&mut self.entries, Compression::none());
        stream.write_all(data).and_then(|()| stream.finish().map(drop)).expect("memory takes what is written");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_format() {
        assert_eq!(header(Kind::Blob, 0), [0x30]);
        assert_eq!(header(Kind::Commit, 15), [0x1f]);
        assert_eq!(header(Kind::Tree, 16), [0xa0, 0x01]);
        assert_eq!(header(Kind::Blob, 1 << 11), [0xb0, 0x80, 0x01]);
    }
}
