//! Listing directories piece by piece, as `wasi-libc` does.

use super::{CREATE, DIR, Guest, RESULT, guest};
use crate::{Errno, snapshot};
use std::collections::BTreeMap;

/// One entry: the cookie after it, its type and its name.
type Entry = (u64, u8, String);

fn read_piece(guest: &mut Guest, fd: u32, cookie: u64, buf_len: u32) -> Result<Vec<u8>, Errno> {
    let buf = 4096;
    snapshot::fd_readdir(
        &mut guest.ctx,
        &mut guest.mem,
        fd,
        buf,
        buf_len,
        cookie,
        RESULT,
    )?;
    let used = guest.u32_at(RESULT);
    assert!(used <= buf_len);
    Ok(guest.mem[buf as usize..(buf + used) as usize].to_vec())
}

/// The whole entries in a piece.
fn entries(piece: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = piece;
    while rest.len() >= 24 {
        let next = u64::from_le_bytes(rest[0..8].try_into().unwrap());
        let name_len = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
        let Some(name) = rest.get(24..24 + name_len) else {
            break;
        };
        entries.push((next, rest[20], String::from_utf8(name.to_vec()).unwrap()));
        rest = &rest[24 + name_len..];
    }
    entries
}

/// Lists a directory with a buffer that grows only when an entry does not fit.
fn list(
    guest: &mut Guest,
    fd: u32,
    mut buf_len: u32,
    mut each: impl FnMut(&mut Guest, &Entry),
) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut cookie = 0;
    loop {
        let piece = read_piece(guest, fd, cookie, buf_len).unwrap();
        let found = entries(&piece);
        if let Some((next, ..)) = found.last() {
            cookie = *next;
        } else if piece.len() == buf_len as usize {
            buf_len *= 2;
        }
        for entry in &found {
            each(guest, entry);
        }
        all.extend(found);
        if piece.len() < buf_len as usize && piece.len() < 24 || piece.is_empty() {
            return all;
        }
    }
}

fn names(entries: &[Entry]) -> BTreeMap<&str, u8> {
    entries
        .iter()
        .map(|(_, kind, name)| (name.as_str(), *kind))
        .collect()
}

fn fill(guest: &mut Guest, files: usize) {
    for index in 0..files {
        let fd = guest.open(&format!("file number {index}"), CREATE).unwrap();
        guest.close(fd);
    }
}

#[test]
fn every_entry_is_listed_once_whatever_the_buffer() {
    let (_dir, mut guest) = guest();
    fill(&mut guest, 300);
    guest.mkdir("sub").unwrap();
    guest.symlink("sub", "link").unwrap();
    for buf_len in [25, 30, 100, 333, 4096, 100_000] {
        let all = list(&mut guest, DIR, buf_len, |_, _| {});
        assert_eq!(all.len(), 304, "buffer of {buf_len}");
        let names = names(&all);
        assert_eq!(names.len(), 304);
        assert_eq!(
            (names["."], names[".."], names["sub"], names["link"]),
            (3, 3, 3, 7)
        );
        assert_eq!(names["file number 7"], 4);
    }
}

#[test]
fn a_full_buffer_means_there_is_more() {
    let (_dir, mut guest) = guest();
    fill(&mut guest, 10);
    let whole = read_piece(&mut guest, DIR, 0, 4096).unwrap();
    // Any smaller buffer is filled to its last byte with the beginning of the same.
    for len in 0..whole.len() {
        assert_eq!(
            read_piece(&mut guest, DIR, 0, len as u32).unwrap(),
            whole[..len]
        );
    }
    assert_eq!(
        read_piece(&mut guest, DIR, 0, whole.len() as u32).unwrap(),
        whole
    );
    assert_eq!(read_piece(&mut guest, DIR, 12, 4096).unwrap(), b"");
}

#[test]
fn cookies_are_small_and_can_be_gone_back_to() {
    let (_dir, mut guest) = guest();
    fill(&mut guest, 50);
    let all = list(&mut guest, DIR, 200, |_, _| {});
    let cookies: Vec<u64> = all.iter().map(|(next, ..)| *next).collect();
    assert_eq!(cookies, (1..=52).collect::<Vec<u64>>());
    for index in [51, 3, 40, 0, 17] {
        let piece = read_piece(&mut guest, DIR, index, 200).unwrap();
        assert_eq!(entries(&piece)[0], all[index as usize]);
    }
    for cookie in [53, 1 << 40, u64::MAX] {
        assert_eq!(read_piece(&mut guest, DIR, cookie, 200).unwrap(), b"");
    }
    // And again from the start, where new entries show.
    guest.mkdir("new").unwrap();
    assert_eq!(list(&mut guest, DIR, 4096, |_, _| {}).len(), 53);
}

#[test]
fn a_directory_can_be_emptied_while_it_is_listed() {
    let (dir, mut guest) = guest();
    fill(&mut guest, 500);
    list(&mut guest, DIR, 128, |guest, (_, kind, name)| {
        if *kind == 4 {
            guest.unlink(name).unwrap();
        }
    });
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn two_descriptors_list_independently() {
    let (_dir, mut guest) = guest();
    fill(&mut guest, 20);
    let other = guest.open_directory(".").unwrap();
    let mut seen = 0;
    let all = list(&mut guest, DIR, 100, |guest, _| {
        let piece = read_piece(guest, other, seen, 100).unwrap();
        seen = entries(&piece)[0].0;
    });
    assert_eq!((all.len(), seen), (22, 22));
}

#[test]
fn only_directories_are_listed() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("file", CREATE).unwrap();
    assert_eq!(read_piece(&mut guest, fd, 0, 100), Err(Errno::NotDir));
    assert_eq!(read_piece(&mut guest, 1, 0, 100), Err(Errno::NotDir));
    assert_eq!(read_piece(&mut guest, 99, 0, 100), Err(Errno::BadF));
    let unlisted = guest
        .open_with(DIR, 0, ".", super::DIRECTORY, 1 << 13, 0)
        .unwrap();
    assert_eq!(
        read_piece(&mut guest, unlisted, 0, 100),
        Err(Errno::NotCapable)
    );
    let end = guest.mem.len() as u32;
    let (ctx, mem) = (&mut guest.ctx, &mut guest.mem[..]);
    assert_eq!(
        snapshot::fd_readdir(ctx, mem, DIR, end - 10, 11, 0, 0),
        Err(Errno::Fault)
    );
    assert_eq!(
        snapshot::fd_readdir(ctx, mem, DIR, 0, 10, 0, end),
        Err(Errno::Fault)
    );
}
