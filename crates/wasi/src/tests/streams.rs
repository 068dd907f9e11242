//! Standard streams: in memory, and the host's.

use super::{FD_READ, FD_SEEK, FD_TELL, FD_WRITE, Guest, RESULT};
use crate::{Capture, Errno, Input, Output, WasiCtxBuilder, snapshot};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn output_is_captured_in_order() {
    let capture = Capture::new(1000);
    let builder = WasiCtxBuilder::new()
        .stdout(capture.output())
        .stderr(capture.output());
    let mut guest = Guest::new(builder.build().unwrap());
    for (fd, text) in [(1, "one "), (2, "two "), (1, "three"), (1, "")] {
        assert_eq!(guest.write(fd, text.as_bytes()), Ok(text.len() as u32));
    }
    assert_eq!(capture.contents(), b"one two three");
    assert_eq!(capture.take(), b"one two three");
    assert_eq!(capture.contents(), b"");
}

#[test]
fn a_capture_has_an_end() {
    let capture = Capture::new(5);
    let mut guest = Guest::new(
        WasiCtxBuilder::new()
            .stdout(capture.output())
            .build()
            .unwrap(),
    );
    assert_eq!(guest.write(1, b"abc"), Ok(3));
    assert_eq!(guest.write(1, b"def"), Ok(2));
    assert_eq!(guest.write(1, b"f"), Err(Errno::NoSpc));
    assert_eq!(capture.contents(), b"abcde");
}

#[test]
fn input_comes_from_memory() {
    let mut guest = Guest::new(
        WasiCtxBuilder::new()
            .stdin(Input::bytes("some input"))
            .build()
            .unwrap(),
    );
    assert_eq!(guest.read(0, 4).unwrap(), b"some");
    assert_eq!(guest.read(0, 0).unwrap(), b"");
    assert_eq!(guest.read(0, 100).unwrap(), b" input");
    assert_eq!(guest.read(0, 100).unwrap(), b"");
    let mut guest = Guest::new(WasiCtxBuilder::new().build().unwrap());
    assert_eq!(guest.read(0, 100).unwrap(), b"");
    assert_eq!(guest.write(1, b"gone"), Ok(4));
}

#[test]
fn streams_go_one_way_and_have_no_position() {
    let capture = Capture::new(10);
    let mut guest = Guest::new(
        WasiCtxBuilder::new()
            .stdout(capture.output())
            .build()
            .unwrap(),
    );
    assert_eq!(guest.read(1, 1), Err(Errno::NotCapable));
    assert_eq!(guest.write(0, b"x"), Err(Errno::NotCapable));
    assert_eq!(guest.seek(0, 0, 0), Err(Errno::SPipe));
    assert_eq!(guest.tell(1), Err(Errno::SPipe));
    assert_eq!(
        guest.fdstat(1).unwrap(),
        (0, 0, guest.fdstat(2).unwrap().2, 0)
    );
    assert_eq!(guest.fd_stat(1).unwrap().size, 0);
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    assert_eq!(
        snapshot::fd_pread(ctx, mem, 0, 512, 0, 0, RESULT),
        Err(Errno::SPipe)
    );
    assert_eq!(snapshot::fd_allocate(ctx, mem, 1, 0, 1), Err(Errno::SPipe));
    snapshot::fd_sync(ctx, mem, 1).unwrap();
    snapshot::fd_fdstat_set_flags(ctx, mem, 1, 1).unwrap();
    snapshot::fd_close(ctx, mem, 1).unwrap();
    assert_eq!(guest.write(1, b"x"), Err(Errno::BadF));
}

#[test]
fn pipes_of_the_host_block_or_not_as_the_guest_wants() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (mut out_reader, out_writer) = io::pipe().unwrap();
    let builder = WasiCtxBuilder::new()
        .stdin(Input::host(OwnedFd::from(reader)))
        .stdout(Output::host(OwnedFd::from(out_writer)));
    let mut guest = Guest::new(builder.build().unwrap());
    snapshot::fd_fdstat_set_flags(&mut guest.ctx, &mut guest.mem, 0, 4).unwrap();
    assert_eq!(guest.read(0, 10), Err(Errno::Again));
    writer.write_all(b"data").unwrap();
    assert_eq!(guest.read(0, 10).unwrap(), b"data");
    assert_eq!(guest.read(0, 10), Err(Errno::Again));
    // The pipe itself was not made non-blocking: others share it.
    snapshot::fd_fdstat_set_flags(&mut guest.ctx, &mut guest.mem, 0, 0).unwrap();
    let late = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        writer.write_all(b"late").unwrap();
    });
    assert_eq!(guest.read(0, 10).unwrap(), b"late");
    late.join().unwrap();
    assert_eq!(guest.read(0, 10).unwrap(), b"");

    assert_eq!(guest.write(1, b"out"), Ok(3));
    assert_eq!(guest.seek(1, 0, 1), Err(Errno::SPipe));
    guest.close(1);
    let mut written = Vec::new();
    out_reader.read_to_end(&mut written).unwrap();
    assert_eq!(written, b"out");
}

#[test]
fn a_pipe_that_somebody_made_nonblocking_still_blocks_the_guest() {
    let (reader, mut writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    let builder = WasiCtxBuilder::new().stdin(Input::host(OwnedFd::from(reader)));
    let mut guest = Guest::new(builder.build().unwrap());
    let late = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        writer.write_all(b"late").unwrap();
    });
    assert_eq!(guest.read(0, 10).unwrap(), b"late");
    late.join().unwrap();
}

#[test]
fn a_closed_pipe_is_an_error() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let builder = WasiCtxBuilder::new().stdout(Output::host(OwnedFd::from(writer)));
    let mut guest = Guest::new(builder.build().unwrap());
    assert_eq!(guest.write(1, b"x"), Err(Errno::Pipe));
}

#[test]
fn a_redirected_stream_has_a_position() {
    let file = tempfile::tempfile().unwrap();
    let builder = WasiCtxBuilder::new().stdout(Output::host(file));
    let mut guest = Guest::new(builder.build().unwrap());
    guest.write(1, b"abc").unwrap();
    assert_eq!(guest.tell(1), Ok(3));
    let (kind, _, rights, _) = guest.fdstat(1).unwrap();
    assert_eq!((kind, rights & (FD_READ | FD_WRITE)), (4, FD_WRITE));
    // Not a terminal.
    assert_eq!(rights & (FD_SEEK | FD_TELL), FD_SEEK | FD_TELL);
    let null = std::fs::File::options()
        .write(true)
        .open("/dev/null")
        .unwrap();
    let mut guest = Guest::new(
        WasiCtxBuilder::new()
            .stdout(Output::host(null))
            .build()
            .unwrap(),
    );
    let (kind, _, rights, _) = guest.fdstat(1).unwrap();
    assert_eq!((kind, rights & (FD_SEEK | FD_TELL)), (2, FD_SEEK | FD_TELL));
}

#[test]
fn inherited_streams_are_the_hosts() {
    let mut guest = Guest::new(WasiCtxBuilder::new().inherit_stdio().build().unwrap());
    for fd in 0..3 {
        guest.fdstat(fd).unwrap();
        guest.fd_stat(fd).unwrap();
        guest.close(fd);
    }
    // Closing the guest's leaves the host's open.
    assert!(rustix::fs::fstat(rustix::stdio::stderr()).is_ok());
}

/// Counts flushes, fails when told to, and reports nonsense.
struct Odd {
    flushes: Arc<AtomicUsize>,
    interrupted: bool,
}

impl Write for Odd {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if !std::mem::replace(&mut self.interrupted, true) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match buf {
            b"fail" => Err(io::Error::other("broken")),
            b"host" => Err(io::Error::from_raw_os_error(28)),
            _ => Ok(1000),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Read for Odd {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(1000)
    }
}

#[test]
fn odd_streams_of_the_embedders_do_no_harm() {
    let flushes = Arc::new(AtomicUsize::new(0));
    let odd = || Odd {
        flushes: flushes.clone(),
        interrupted: false,
    };
    let builder = WasiCtxBuilder::new()
        .stdin(Input::reader(odd()))
        .stdout(Output::writer(odd()));
    let mut guest = Guest::new(builder.build().unwrap());
    assert_eq!(guest.write(1, b"data"), Ok(4));
    assert_eq!(flushes.load(Ordering::Relaxed), 1);
    assert_eq!(guest.write(1, b"fail"), Err(Errno::Io));
    assert_eq!(guest.write(1, b"host"), Err(Errno::NoSpc));
    assert_eq!(guest.read(0, 5).unwrap().len(), 5);
}
