//! What the small programs around the rivals' libraries share; generated into each of them.

#![allow(dead_code)]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read, Write};

use liblzma::read::XzDecoder;
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// `xz -9e`, whose dictionary is 64 MiB.
const PRESET: u32 = 9 | (1 << 31);
const DICTIONARY_LEN_MAX: usize = 64 << 20;

/// `PROGRAM diff OLD NEW PATCH` or `PROGRAM patch OLD PATCH NEW`.
pub fn run(
    diff: fn(&[u8], &[u8]) -> Result<Vec<u8>>,
    patch: fn(&str, &str, &str) -> Result<()>,
) -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["diff", old, new, out] => write(out, &diff(&read(old)?, &read(new)?)?),
        ["patch", old, delta, new] => patch(old, delta, new),
        _ => Err("diff OLD NEW PATCH | patch OLD PATCH NEW".into()),
    }
}

pub fn read(path: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(path)?)
}

pub fn write(path: &str, bytes: &[u8]) -> Result<()> {
    Ok(std::fs::write(path, bytes)?)
}

/// As `xz -9e`, but without a dictionary larger than the data: neither side needs the memory.
pub fn xz(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(PRESET)?;
    options.dict_size(bytes.len().clamp(4096, DICTIONARY_LEN_MAX) as u32);
    let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc32)?;
    let mut encoder = XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

pub fn unxz(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    XzDecoder::new(bytes).read_to_end(&mut out)?;
    Ok(out)
}

/// A compressed patch as a stream, for readers that need no more of it at a time.
pub fn unxz_file(path: &str) -> Result<impl Read> {
    Ok(BufReader::new(XzDecoder::new(File::open(path)?)))
}
