//! Where `record produce` reads its lines.

use super::lines::Lines;
use crate::cli::ProduceArguments;
use crate::failure::{Failure, Kind};
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// How much of the input is read at once, in bytes.
const INPUT_BYTES: usize = 1 << 20;

/// Where lines come from.
pub enum Input {
    /// A file, which never makes anybody wait.
    File(BufReader<File>),
    /// Standard input.
    Stdin(BufReader<io::Stdin>),
}

/// The lines of the file that was named, or of stdin.
pub fn open(arguments: &ProduceArguments) -> Result<Lines<Input>, Failure> {
    let Some(path) = &arguments.file else {
        return Ok(Lines::new(Input::Stdin(BufReader::with_capacity(
            INPUT_BYTES,
            io::stdin(),
        ))));
    };
    let file = File::open(path).map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Failed,
        };
        Failure::new(kind, format!("cannot open {}: {error}", path.display()))
    })?;
    Ok(Lines::new(Input::File(BufReader::with_capacity(
        INPUT_BYTES,
        file,
    ))))
}

impl Input {
    fn inner(&mut self) -> &mut dyn BufRead {
        match self {
            Self::File(file) => file,
            Self::Stdin(stdin) => stdin,
        }
    }
}

impl io::Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner().read(buffer)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner().fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.inner().consume(count);
    }
}

impl Lines<Input> {
    /// Whether the next line may not be there yet.
    pub fn would_wait(&self) -> bool {
        match self.input() {
            Input::File(_) => false,
            // A whole line in the buffer needs no waiting; a regular file as stdin looks the same as
            // a pipe, at the price of a smaller batch at each buffer's end.
            Input::Stdin(stdin) => !stdin.buffer().contains(&b'\n'),
        }
    }
}
