// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a program in its own process group, within a time limit.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::report::{Outcome, Try};

/// How a program ended.
pub struct Ended {
    /// None: it did not end in time, and was killed.
    pub status: Option<ExitStatus>,
    /// What it wrote to stdout and stderr.
    pub output: String,
}

/// What a test program exits with when only a time was too long (TEST_LATE in tests/c/test.h).
const LATE: i32 = 75;

/// How much slower than on an idle machine things may go.
#[derive(Clone, Copy)]
pub struct Patience {
    /// By what there is to do for each processor.
    load: u32,
    factor: u32,
}

impl Patience {
    /// Under a tool that slows programs down `tool` times, on this machine as it is now.
    pub fn now(tool: u32, this_try: Try) -> Patience {
        let processors = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        let load = (load_average() / processors).ceil().clamp(1.0, 4.0) as u32;
        let most = if this_try == Try::First { 8 } else { 16 };
        let factor = (tool * load * if this_try == Try::First { 1 } else { 4 }).min(most);
        Patience { load, factor }
    }

    /// Tells the program of it.
    pub fn tell(self, command: &mut Command) {
        command.env("DYCO_TEST_PATIENCE", self.factor.to_string());
    }

    /// A limit for the whole program.
    pub fn limit(self, usual: Duration) -> Duration {
        usual * self.load
    }
}

/// How many threads have been at work lately.
fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

impl Ended {
    /// A failure, for that reason: doubtful if the program was only late, ran under a tool that has its own moods, or had to
    /// share the machine. What fails alone on an idle machine has failed.
    pub fn failure(&self, why: String, under_tool: bool) -> Outcome {
        match self.status.map(|status| status.code()) {
            Some(Some(LATE)) => Outcome::Doubtful(why),
            _ if under_tool || load_average() >= 1.0 => Outcome::Doubtful(why),
            _ => Outcome::Failed(why),
        }
    }
}

/// Runs the command, without input; its output goes through the file `log`. Whatever it leaves behind in its process
/// group is killed.
pub fn run(command: &mut Command, limit: Duration, log: &Path) -> io::Result<Ended> {
    let file = File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
    let mut child = command.spawn()?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    // SAFETY: no preconditions. A group that is gone is ESRCH; its number is not reused while the child is unreaped or
    // has just been.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    if status.is_none() {
        child.wait()?;
    }
    Ok(Ended { status, output: String::from_utf8_lossy(&fs::read(log)?).into_owned() })
}

/// Gives the command so many descriptors, and no core file; false when that is more than this process may give.
pub fn limit_descriptors(command: &mut Command, wanted: Option<u64>) -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid out parameter.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if let Some(wanted) = wanted {
        // SAFETY: no preconditions.
        if wanted > limit.rlim_max && unsafe { libc::geteuid() } != 0 {
            return false;
        }
        limit.rlim_cur = wanted;
        limit.rlim_max = limit.rlim_max.max(wanted);
    }
    // SAFETY: setrlimit is async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &no_core);
            match libc::setrlimit(libc::RLIMIT_NOFILE, &limit) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
    true
}
