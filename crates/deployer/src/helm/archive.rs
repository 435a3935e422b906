//! Files of a packaged chart, as helm reads them: a tar archive in gzip.
//!
//! What could be read in two ways is refused: a file that only helm finds in an archive would be judged by no rule. The crate
//! `tar` takes the other side: it follows sizes in extended records, numbers in base 256 and sparse files, which all would have to
//! be found in the raw headers and refused again; what it would save are the sum of a header and its name.

use std::io::Read as _;

/// As much as helm takes out of an archive.
const LARGEST: u64 = 100 * 1024 * 1024;
const BLOCK: usize = 512;

/// The files of an archive in their order: the path as it is stored, and the content. The error says why it cannot be read.
pub(super) fn files_of_archive(packed: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut bytes = Vec::new();
    let mut unpacked = flate2::read::MultiGzDecoder::new(packed).take(LARGEST + 1);
    unpacked.read_to_end(&mut bytes).map_err(|error| format!("no gzip: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it unpacks to more than {} MiB", LARGEST / 1024 / 1024));
    }
    let mut files = Vec::new();
    let mut rest = bytes.as_slice();
    // The name of the next file, where its own header has no room for it.
    let mut long_name = None;
    while let Some((header, behind)) = rest.split_at_checked(BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let size = check(header)?;
        let padded = size.next_multiple_of(BLOCK);
        let (data, behind) = behind.split_at_checked(padded).ok_or("an entry is longer than the archive")?;
        let data = data.get(..size).unwrap_or_default();
        rest = behind;
        match header.get(156).copied().unwrap_or_default() {
            b'0' | 0 => {
                let name = long_name.take().unwrap_or_else(|| name_of(header));
                files.push((name, data.to_vec()));
            }
            // A folder or link has no content that helm reads.
            b'1' | b'2' | b'5' if size == 0 => long_name = None,
            b'L' => long_name = Some(text(data)),
            b'x' => long_name = name_in_records(data)?.or(long_name),
            // Records for the whole archive, such as the commit that git writes; and the long name of a link.
            b'g' | b'K' => {}
            other => return Err(format!("an entry has type `{}`", char::from(other).escape_default())),
        }
    }
    Ok(files)
}

/// The size of an entry whose header is one.
fn check(header: &[u8]) -> Result<usize, String> {
    let field = |from: usize, to: usize| header.get(from..to).unwrap_or_default();
    let number = |field: &[u8]| {
        let text = text(field);
        u64::from_str_radix(text.trim_matches(' '), 8).map_err(|_| "an entry has a size or sum that is no number")
    };
    let sum = header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) });
    if number(field(148, 156))? != sum.sum::<u64>() {
        return Err("the header of an entry is damaged".to_owned());
    }
    usize::try_from(number(field(124, 136))?).map_err(|_| "an entry is too long".to_owned())
}

fn name_of(header: &[u8]) -> String {
    let name = text(header.get(..100).unwrap_or_default());
    let prefix = text(header.get(345..500).unwrap_or_default());
    let has_prefix = header.get(257..263) == Some(b"ustar\0") && !prefix.is_empty();
    if has_prefix { format!("{prefix}/{name}") } else { name }
}

/// The path in extended records, each `LENGTH KEY=VALUE\n`.
fn name_in_records(mut data: &[u8]) -> Result<Option<String>, String> {
    let mut name = None;
    while !data.is_empty() {
        let record = || "an entry has extended records that cannot be read".to_owned();
        let space = data.iter().position(|byte| *byte == b' ').ok_or_else(record)?;
        let length = data.get(..space).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
        let (one, behind) = length.and_then(|length| data.split_at_checked(length)).ok_or_else(record)?;
        let one = one.get(space + 1..).and_then(|one| one.strip_suffix(b"\n")).ok_or_else(record)?;
        let one = std::str::from_utf8(one).map_err(|_| record())?;
        let (key, value) = one.split_once('=').ok_or_else(record)?;
        match key {
            "path" => name = Some(value.to_owned()),
            // Either says that the content is another one than it seems.
            "size" => return Err("an entry has its size in extended records".to_owned()),
            sparse if sparse.starts_with("GNU.sparse") => return Err("an entry is a sparse file".to_owned()),
            _ => {}
        }
        data = behind;
    }
    Ok(name)
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// A packed archive of entries: their type, name, and content.
#[cfg(test)]
pub(super) fn archive_of(entries: &[(u8, &str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;

    let mut bytes = Vec::new();
    for (kind, name, data) in entries {
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, value: &[u8]| header[at..at + value.len()].copy_from_slice(value);
        put(0, name.as_bytes());
        put(124, format!("{:011o}\0", data.len()).as_bytes());
        put(148, b"        ");
        put(156, &[*kind]);
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        bytes.extend(*data);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(&bytes).unwrap();
    writer.finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t28_files_of_an_archive_have_the_names_that_helm_reads() {
        let long = "a/".repeat(80) + "values.schema.json";
        let record = format!("{} path={long}\n", 3 + 1 + 5 + long.len() + 1);
        let packed = archive_of(&[
            (b'g', "pax_global_header", b"19 comment=abcdefg\n"),
            (b'5', "db/", b""),
            (b'0', "db/Chart.yaml", b"name: db\n"),
            (b'x', "PaxHeader", record.as_bytes()),
            (b'0', "short", b"1"),
            (b'L', "././@LongLink", format!("{long}\0").as_bytes()),
            (0, "short", b"2"),
            (b'0', "db/last", b""),
        ]);
        let files = files_of_archive(&packed).unwrap();
        let names: Vec<(&str, &[u8])> = files.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
        let wanted: [(&str, &[u8]); 4] =
            [("db/Chart.yaml", b"name: db\n"), (&long, b"1"), (&long, b"2"), ("db/last", b"")];
        assert_eq!(names, wanted);
    }

    /// 10 GB of zeros, as many small archives of zeros one after another.
    #[test]
    fn t28_an_archive_is_unpacked_up_to_a_cap() {
        let zeros = vec![0; 1024 * 1024];
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut writer, &zeros).unwrap();
        let bomb = writer.finish().unwrap().repeat(10_000);
        let begin = std::time::Instant::now();
        assert_eq!(files_of_archive(&bomb).unwrap_err(), "it unpacks to more than 100 MiB");
        assert!(begin.elapsed() < std::time::Duration::from_secs(20), "{:?}", begin.elapsed());
    }

    #[test]
    fn t28_an_archive_that_can_be_read_in_two_ways_is_refused() {
        for (entries, told) in [
            (&[(b'S', "a", &b""[..])][..], "type `S`"),
            (&[(b'7', "a", b"")], "type `7`"),
            (&[(b'5', "a", b"x")], "type `5`"),
            (&[(b'x', "a", b"9 size=1\n"), (b'0', "a", b"x")], "its size in extended records"),
            (&[(b'x', "a", b"22 GNU.sparse.major=1\n")], "sparse"),
            (&[(b'x', "a", b"99 path=a\n")], "cannot be read"),
        ] {
            let error = files_of_archive(&archive_of(entries)).unwrap_err();
            assert!(error.contains(told), "{told}: {error}");
        }
        assert!(files_of_archive(b"Chart.yaml").unwrap_err().contains("no gzip"));
        let sound = archive_of(&[(b'0', "a", b"x")]);
        files_of_archive(&sound[..sound.len() / 2]).unwrap_err();
    }
}
