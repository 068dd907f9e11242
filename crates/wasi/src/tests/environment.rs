//! Arguments, environment, clocks, randomness, sockets; and what a builder refuses.

use super::{DIR, Guest, RESULT, guest};
use crate::{Access, Errno, Error, WasiCtxBuilder, snapshot};

#[test]
fn arguments_and_variables_are_laid_out_as_c_strings() {
    let builder = WasiCtxBuilder::new()
        .arg("prog")
        .args(["", "née"])
        .env("A", "1")
        .env("B", "x=y")
        .env("A", "2");
    let mut guest = Guest::new(builder.build().unwrap());
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    snapshot::args_sizes_get(ctx, mem, 0, 4).unwrap();
    assert_eq!((mem[0], mem[4]), (3, 5 + 1 + 5));
    snapshot::args_get(ctx, mem, 16, 64).unwrap();
    assert_eq!(&mem[64..75], "prog\0\0née\0".as_bytes());
    let pointers: Vec<u8> = mem[16..28].iter().copied().step_by(4).collect();
    assert_eq!(pointers, [64, 69, 70]);
    snapshot::environ_sizes_get(ctx, mem, 0, 4).unwrap();
    assert_eq!((mem[0], mem[4]), (2, 4 + 6));
    snapshot::environ_get(ctx, mem, 16, 64).unwrap();
    assert_eq!(&mem[64..74], b"A=2\0B=x=y\0");
}

#[test]
fn strings_do_not_run_out_of_memory() {
    let mut guest = Guest::new(
        WasiCtxBuilder::new()
            .args(["prog", "argument"])
            .build()
            .unwrap(),
    );
    let end = guest.mem.len() as u32;
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    assert_eq!(snapshot::args_get(ctx, mem, 16, end - 6), Err(Errno::Fault));
    assert_eq!(snapshot::args_get(ctx, mem, end - 4, 64), Err(Errno::Fault));
    assert_eq!(
        snapshot::args_get(ctx, mem, u32::MAX, u32::MAX),
        Err(Errno::Fault)
    );
    assert_eq!(
        snapshot::args_sizes_get(ctx, mem, end - 3, 0),
        Err(Errno::Fault)
    );
}

#[test]
fn clocks_run() {
    let (_dir, mut guest) = guest();
    let mut time = |id| {
        snapshot::clock_time_get(&mut guest.ctx, &mut guest.mem, id, 1, RESULT)?;
        Ok(guest.u64_at(RESULT))
    };
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert!(time(0).unwrap().abs_diff(since_epoch.as_nanos() as u64) < 60_000_000_000);
    let first = time(1).unwrap();
    assert!(time(1).unwrap() >= first);
    assert!(time(2).unwrap() > 0);
    assert!(time(3).unwrap() > 0);
    assert_eq!(time(4), Err(Errno::Inval));
    for id in 0..4 {
        snapshot::clock_res_get(&mut guest.ctx, &mut guest.mem, id, RESULT).unwrap();
        assert!(guest.u64_at(RESULT) > 0);
    }
    assert_eq!(
        snapshot::clock_res_get(&mut guest.ctx, &mut guest.mem, 4, RESULT),
        Err(Errno::Inval)
    );
}

#[test]
fn random_bytes_differ() {
    let (_dir, mut guest) = guest();
    snapshot::random_get(&mut guest.ctx, &mut guest.mem, 0, 4096).unwrap();
    let first = guest.mem[..4096].to_vec();
    snapshot::random_get(&mut guest.ctx, &mut guest.mem, 0, 4096).unwrap();
    assert_ne!(first, guest.mem[..4096]);
    assert_eq!(guest.mem[4096..8192], [0; 4096]);
    assert_eq!(
        snapshot::random_get(&mut guest.ctx, &mut guest.mem, 8, u32::MAX),
        Err(Errno::Fault)
    );
    snapshot::random_get(&mut guest.ctx, &mut guest.mem, 8, 0).unwrap();
}

#[test]
fn there_are_no_sockets() {
    let (_dir, mut guest) = guest();
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    assert_eq!(
        snapshot::sock_accept(ctx, mem, DIR, 0, 0),
        Err(Errno::NotSock)
    );
    assert_eq!(
        snapshot::sock_send(ctx, mem, 1, 0, 0, 0, 0),
        Err(Errno::NotSock)
    );
    assert_eq!(
        snapshot::sock_recv(ctx, mem, 9, 0, 0, 0, 0, 0),
        Err(Errno::BadF)
    );
    assert_eq!(snapshot::sock_shutdown(ctx, mem, 9, 0), Err(Errno::BadF));
}

#[test]
fn preopened_directories_introduce_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let builder = WasiCtxBuilder::new()
        .preopened_dir(dir.path(), "/", Access::ReadWrite)
        .preopened_dir(dir.path(), "data", Access::ReadOnly);
    let mut guest = Guest::new(builder.build().unwrap());
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    snapshot::fd_prestat_get(ctx, mem, 4, 0).unwrap();
    assert_eq!(mem[..8], [0, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!(
        snapshot::fd_prestat_dir_name(ctx, mem, 4, 16, 3),
        Err(Errno::NameTooLong)
    );
    snapshot::fd_prestat_dir_name(ctx, mem, 4, 16, 4).unwrap();
    assert_eq!(&mem[16..21], b"data\0");
    for fd in [0, 5] {
        assert_eq!(snapshot::fd_prestat_get(ctx, mem, fd, 0), Err(Errno::BadF));
        assert_eq!(
            snapshot::fd_prestat_dir_name(ctx, mem, fd, 16, 4),
            Err(Errno::BadF)
        );
    }
    let opened = guest.open_directory(".").unwrap();
    assert_eq!(
        snapshot::fd_prestat_get(&mut guest.ctx, &mut guest.mem, opened, 0),
        Err(Errno::BadF)
    );
}

#[test]
fn a_builder_says_what_is_wrong() {
    let error = |builder: WasiCtxBuilder| builder.build().unwrap_err();
    let missing =
        error(WasiCtxBuilder::new().preopened_dir("/nonexistent/x", "/data", Access::ReadOnly));
    assert!(matches!(missing, Error::Preopen { .. }));
    assert!(
        missing.to_string().contains("/nonexistent/x") && missing.to_string().contains("/data")
    );
    assert!(matches!(
        error(WasiCtxBuilder::new().arg("a\0b")),
        Error::ZeroByte { .. }
    ));
    assert!(matches!(
        error(WasiCtxBuilder::new().env("A", "\0")),
        Error::ZeroByte { .. }
    ));
    assert!(matches!(
        error(WasiCtxBuilder::new().env("A=B", "")),
        Error::VariableName(_)
    ));
    assert!(matches!(
        error(WasiCtxBuilder::new().env("", "")),
        Error::VariableName(_)
    ));
    let dir = tempfile::tempdir().unwrap();
    let crowded = WasiCtxBuilder::new()
        .preopened_dir(dir.path(), "/", Access::ReadOnly)
        .descriptors_max(3);
    assert!(matches!(error(crowded), Error::TooManyDescriptors(3)));
    let bad = WasiCtxBuilder::new().preopened_dir(dir.path(), "/\0", Access::ReadOnly);
    assert!(matches!(error(bad), Error::ZeroByte { .. }));
    std::fs::write(dir.path().join("file"), "").unwrap();
    let file = WasiCtxBuilder::new().preopened_dir(dir.path().join("file"), "/", Access::ReadOnly);
    assert!(matches!(error(file), Error::Preopen { .. }));
}

#[test]
fn contexts_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<crate::WasiCtx>();
}
