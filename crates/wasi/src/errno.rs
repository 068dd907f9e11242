//! The error numbers a guest sees. WASI numbers them alphabetically, unlike any host, so each host error is translated
//! by name; a host error that WASI has no name for becomes [`Errno::Io`].

use rustix::io::Errno as Host;

macro_rules! errnos {
    ($($name:ident = $code:literal, $host:path, $doc:literal;)*) => {
        /// A WASI error number. Success is not a member: functions return `Result<_, Errno>`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Errno {
            $(#[doc = $doc] $name = $code,)*
            /// The guest's rights, or its sandbox, do not allow this.
            NotCapable = 76,
        }

        impl From<Host> for Errno {
            fn from(host: Host) -> Errno {
                match host {
                    $($host => Errno::$name,)*
                    _ => Errno::Io,
                }
            }
        }
    };
}

errnos! {
    TooBig = 1, Host::TOOBIG, "Argument list too long.";
    Access = 2, Host::ACCESS, "Permission denied.";
    AddrInUse = 3, Host::ADDRINUSE, "Address in use.";
    AddrNotAvail = 4, Host::ADDRNOTAVAIL, "Address not available.";
    AfNoSupport = 5, Host::AFNOSUPPORT, "Address family not supported.";
    Again = 6, Host::AGAIN, "Resource unavailable, or operation would block.";
    Already = 7, Host::ALREADY, "Connection already in progress.";
    BadF = 8, Host::BADF, "Bad file descriptor.";
    BadMsg = 9, Host::BADMSG, "Bad message.";
    Busy = 10, Host::BUSY, "Device or resource busy.";
    Canceled = 11, Host::CANCELED, "Operation canceled.";
    Child = 12, Host::CHILD, "No child processes.";
    ConnAborted = 13, Host::CONNABORTED, "Connection aborted.";
    ConnRefused = 14, Host::CONNREFUSED, "Connection refused.";
    ConnReset = 15, Host::CONNRESET, "Connection reset.";
    Deadlk = 16, Host::DEADLK, "Resource deadlock would occur.";
    DestAddrReq = 17, Host::DESTADDRREQ, "Destination address required.";
    Dom = 18, Host::DOM, "Mathematics argument out of domain of function.";
    DQuot = 19, Host::DQUOT, "Disk quota exceeded.";
    Exist = 20, Host::EXIST, "File exists.";
    Fault = 21, Host::FAULT, "Bad address.";
    FBig = 22, Host::FBIG, "File too large.";
    HostUnreach = 23, Host::HOSTUNREACH, "Host is unreachable.";
    Idrm = 24, Host::IDRM, "Identifier removed.";
    IlSeq = 25, Host::ILSEQ, "Illegal byte sequence.";
    InProgress = 26, Host::INPROGRESS, "Operation in progress.";
    Intr = 27, Host::INTR, "Interrupted function.";
    Inval = 28, Host::INVAL, "Invalid argument.";
    Io = 29, Host::IO, "I/O error.";
    IsConn = 30, Host::ISCONN, "Socket is connected.";
    IsDir = 31, Host::ISDIR, "Is a directory.";
    Loop = 32, Host::LOOP, "Too many levels of symbolic links.";
    MFile = 33, Host::MFILE, "File descriptor table is full.";
    MLink = 34, Host::MLINK, "Too many links.";
    MsgSize = 35, Host::MSGSIZE, "Message too large.";
    Multihop = 36, Host::MULTIHOP, "Reserved.";
    NameTooLong = 37, Host::NAMETOOLONG, "Filename too long.";
    NetDown = 38, Host::NETDOWN, "Network is down.";
    NetReset = 39, Host::NETRESET, "Connection aborted by network.";
    NetUnreach = 40, Host::NETUNREACH, "Network unreachable.";
    NFile = 41, Host::NFILE, "Too many files open in system.";
    NoBufs = 42, Host::NOBUFS, "No buffer space available.";
    NoDev = 43, Host::NODEV, "No such device.";
    NoEnt = 44, Host::NOENT, "No such file or directory.";
    NoExec = 45, Host::NOEXEC, "Executable file format error.";
    NoLck = 46, Host::NOLCK, "No locks available.";
    NoLink = 47, Host::NOLINK, "Reserved.";
    NoMem = 48, Host::NOMEM, "Not enough space.";
    NoMsg = 49, Host::NOMSG, "No message of the desired type.";
    NoProtoOpt = 50, Host::NOPROTOOPT, "Protocol not available.";
    NoSpc = 51, Host::NOSPC, "No space left on device.";
    NoSys = 52, Host::NOSYS, "Function not supported.";
    NotConn = 53, Host::NOTCONN, "The socket is not connected.";
    NotDir = 54, Host::NOTDIR, "Not a directory, or a symbolic link to one.";
    NotEmpty = 55, Host::NOTEMPTY, "Directory not empty.";
    NotRecoverable = 56, Host::NOTRECOVERABLE, "State not recoverable.";
    NotSock = 57, Host::NOTSOCK, "Not a socket.";
    NotSup = 58, Host::NOTSUP, "Not supported.";
    NoTty = 59, Host::NOTTY, "Inappropriate I/O control operation.";
    Nxio = 60, Host::NXIO, "No such device or address.";
    Overflow = 61, Host::OVERFLOW, "Value too large for its type.";
    OwnerDead = 62, Host::OWNERDEAD, "Previous owner died.";
    Perm = 63, Host::PERM, "Operation not permitted.";
    Pipe = 64, Host::PIPE, "Broken pipe.";
    Proto = 65, Host::PROTO, "Protocol error.";
    ProtoNoSupport = 66, Host::PROTONOSUPPORT, "Protocol not supported.";
    Prototype = 67, Host::PROTOTYPE, "Protocol wrong type for socket.";
    Range = 68, Host::RANGE, "Result too large.";
    Rofs = 69, Host::ROFS, "Read-only file system.";
    SPipe = 70, Host::SPIPE, "Invalid seek.";
    Srch = 71, Host::SRCH, "No such process.";
    Stale = 72, Host::STALE, "Reserved.";
    TimedOut = 73, Host::TIMEDOUT, "Connection timed out.";
    TxtBsy = 74, Host::TXTBSY, "Text file busy.";
    XDev = 75, Host::XDEV, "Cross-device link.";
}

impl From<std::io::Error> for Errno {
    /// Translates what a stream of the embedder's reports: by its host error number if it has one, else by its kind.
    fn from(error: std::io::Error) -> Errno {
        use std::io::ErrorKind;
        if let Some(host) = Host::from_io_error(&error) {
            return host.into();
        }
        match error.kind() {
            ErrorKind::BrokenPipe => Errno::Pipe,
            ErrorKind::WouldBlock => Errno::Again,
            ErrorKind::InvalidInput => Errno::Inval,
            ErrorKind::PermissionDenied => Errno::Perm,
            ErrorKind::StorageFull => Errno::NoSpc,
            ErrorKind::OutOfMemory => Errno::NoMem,
            ErrorKind::Unsupported => Errno::NotSup,
            _ => Errno::Io,
        }
    }
}
