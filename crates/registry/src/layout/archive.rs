//! A layer: a tar archive inside gzip, written so that the same files always give the same bytes.
//!
//! Nothing is compressed: the gzip frame holds stored blocks. A layer that is not in gzip would be compressed by tools
//! that copy it to a registry, and its digest would change; a real compressor changes its output with its version.

use std::collections::BTreeMap;

/// Bytes that a name may have.
pub(super) const LONGEST_NAME: usize = 100;

const BLOCK: usize = 512;
const STORED_BLOCK: usize = 0xffff;

/// A file of a layer.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// Whether everybody may execute it.
    pub(super) is_program: bool,
}

/// Writes files as a tar archive (ustar), sorted by name, owned by root, dated 1970.
pub(super) fn tar(files: &BTreeMap<String, File>) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, file) in files {
        archive.extend_from_slice(&header(name, file));
        archive.extend_from_slice(&file.bytes);
        pad(&mut archive);
    }
    archive.extend_from_slice(&[0; 2 * BLOCK]);
    archive
}

/// Wraps bytes in a gzip frame of stored blocks.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let blocks: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(STORED_BLOCK).collect() };
    for (position, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).expect("chunks are at most 65535 bytes long");
        frame.push(u8::from(position + 1 == blocks.len()));
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&(!length).to_le_bytes());
        frame.extend_from_slice(block);
    }
    frame.extend_from_slice(&crc32(bytes).to_le_bytes());
    let length = u32::try_from(bytes.len() & 0xffff_ffff).expect("masked to 32 bits");
    frame.extend_from_slice(&length.to_le_bytes());
    frame
}

fn header(name: &str, file: &File) -> [u8; BLOCK] {
    let length = file.bytes.len();
    let mut header = [0; BLOCK];
    // NOTE: longer names would need ustar's prefix field; the folder's writer refuses them.
    put(&mut header, 0, name.as_bytes().get(..LONGEST_NAME).unwrap_or(name.as_bytes()));
    put(&mut header, 100, if file.is_program { b"0000755\0" } else { b"0000644\0" });
    put(&mut header, 108, b"0000000\0");
    put(&mut header, 116, b"0000000\0");
    put(&mut header, 124, format!("{length:011o}\0").as_bytes());
    put(&mut header, 136, b"00000000000\0");
    put(&mut header, 148, b"        ");
    put(&mut header, 156, b"0");
    put(&mut header, 257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
    header
}

fn put(header: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    for (slot, byte) in header.iter_mut().skip(at).zip(bytes) {
        *slot = *byte;
    }
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn long_content_is_split_into_blocks() {
        let frame = gzip(&vec![7; STORED_BLOCK + 1]);
        assert_eq!(frame.len(), 10 + 5 + STORED_BLOCK + 5 + 1 + 8);
        assert_eq!(gzip(&[]).len(), 10 + 5 + 8);
    }

    #[test]
    fn an_archive_ends_on_a_block() {
        let file = |is_program| File { bytes: b"hello".to_vec(), is_program };
        let mode = |is_program| tar(&BTreeMap::from([("a".to_owned(), file(is_program))]))[100..107].to_vec();
        assert_eq!((mode(false), mode(true)), (b"0000644".to_vec(), b"0000755".to_vec()));
        let archive = tar(&BTreeMap::from([("a".to_owned(), file(false))]));
        assert_eq!(archive.len(), BLOCK * 4);
        assert_eq!(archive.get(257..262), Some(b"ustar".as_slice()));
    }
}
