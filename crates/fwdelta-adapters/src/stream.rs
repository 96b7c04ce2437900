//! Payloads behind the traits of `embedded-io`.

use embedded_io::{Read, ReadExactError, Seek, SeekFrom};
use fwdelta_core::storage::{ReadError, Source};

/// Something that can be read and sought in, as a payload or an old image.
///
/// A medium may give fewer bytes than it was asked for: it is asked again. One that ends too early
/// is an error.
#[derive(Debug)]
pub struct Stream<R>(pub R);

/// Why reading failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError<E> {
    /// The medium ended before all was read.
    End,
    /// The driver's own error.
    Driver(E),
}

impl<R: Read + Seek> Source for Stream<R> {
    type Error = StreamError<R::Error>;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        let driver = |error| ReadError::Io(StreamError::Driver(error));
        self.0.seek(SeekFrom::Start(pos)).map_err(driver)?;
        self.0.read_exact(buf).map_err(|error| match error {
            ReadExactError::UnexpectedEof => ReadError::Io(StreamError::End),
            ReadExactError::Other(error) => driver(error),
        })
    }
}
