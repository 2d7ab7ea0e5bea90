// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers that a test starts, and that end with it.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server, which is stopped when this is dropped or the test's thread ends.
pub struct Server {
    process: Child,
    stop: i32,
}

impl Server {
    /// Starts it and waits until `is_ready`. `stop` is the signal that ends it in good order.
    pub fn start(command: &mut Command, stop: i32, log: &Path, is_ready: impl Fn() -> bool) -> Result<Server, String> {
        let text = |error: io::Error| format!("{:?}: {error}", command.get_program());
        let file = File::create(log).map_err(text)?;
        let also = file.try_clone().map_err(text)?;
        // SAFETY: prctl is async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, stop);
                Ok(())
            })
        };
        let process = command.stdin(Stdio::null()).stdout(also).stderr(file).process_group(0).spawn();
        let mut server =
            Server { process: process.map_err(|error| format!("{:?}: {error}", command.get_program()))?, stop };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_ready() {
            let ended = server.process.try_wait().expect("our child");
            if ended.is_some() || Instant::now() > deadline {
                let says = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("{:?} does not start: {ended:?}\n{says}", command.get_program()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: the process is our child and has not been waited for.
        unsafe { libc::kill(self.process.id() as i32, self.stop) };
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.process.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // SAFETY: as above; the group is the server's own.
        unsafe { libc::kill(-(self.process.id() as i32), libc::SIGKILL) };
        let _ = self.process.wait();
    }
}

/// A port of 127.0.0.1 that nobody has just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Where a command is: on the PATH or where Debian keeps daemons.
pub fn find_command(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(daemons).map(|dir| dir.join(name)).find(|file| file.is_file())
}
