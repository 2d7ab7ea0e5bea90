// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs many cases at a time and reports them as cargo's own test runner does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What became of a case.
#[derive(Clone)]
pub enum Outcome {
    Passed,
    /// With the reason.
    Skipped(String),
    /// With all that helps to find out why.
    Failed(String),
    /// As `Failed`, where a slow machine or a real peer may be to blame: worth another try.
    Doubtful(String),
}

/// Which one a try is.
#[derive(Clone, Copy, PartialEq)]
pub enum Try {
    First,
    Second,
}

/// Collects outcomes and prints a line for each.
pub struct Report {
    filters: Vec<String>,
    began: Instant,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    passed: usize,
    skipped: usize,
    failed: Vec<String>,
    /// Failed first, and then not.
    unsteady: Vec<String>,
}

impl Report {
    /// Words on the command line select the cases whose names hold all of them.
    pub fn from_args() -> Report {
        let filters = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
        Report { filters, began: Instant::now(), counts: Mutex::default() }
    }

    pub fn is_wanted(&self, name: &str) -> bool {
        self.filters.iter().all(|filter| name.contains(filter.as_str()))
    }

    /// Runs `test`, once more and with more patience where the failure is doubtful: real peers, emulators and busy machines
    /// have their moods. What is plainly wrong has failed, if it happens now and then only. The first failure is shown, and
    /// named again at the end.
    pub fn try_twice(&self, name: &str, test: impl Fn(Try) -> Outcome) {
        let mut began = Instant::now();
        let mut outcome = test(Try::First);
        if let Outcome::Doubtful(why) = &outcome {
            println!("{name}: once more, after\n{why}");
            began = Instant::now();
            outcome = test(Try::Second);
            if !matches!(outcome, Outcome::Failed(_) | Outcome::Doubtful(_)) {
                self.counts.lock().expect("no panic while held").unsteady.push(name.to_string());
            }
        }
        self.add(name, outcome, began.elapsed());
    }

    pub fn add(&self, name: &str, outcome: Outcome, took: Duration) {
        let mut counts = self.counts.lock().expect("no panic while held");
        let took = took.as_secs_f32();
        match outcome {
            Outcome::Passed => {
                println!("test {name} ... ok ({took:.2}s)");
                counts.passed += 1;
            }
            Outcome::Skipped(reason) => {
                println!("test {name} ... ignored, {reason}");
                counts.skipped += 1;
            }
            Outcome::Failed(why) | Outcome::Doubtful(why) => {
                println!("test {name} ... FAILED ({took:.2}s)\n{}", why.trim_end());
                counts.failed.push(name.to_string());
            }
        }
    }

    /// Calls `each` with every item, in this order, on so many threads.
    pub fn in_parallel<T: Sync>(threads: usize, items: &[T], each: impl Fn(&T) + Sync) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        each(item);
                    }
                });
            }
        });
    }

    /// Prints the sum and ends the process.
    pub fn finish(self) -> ! {
        let counts = self.counts.into_inner().expect("no panic while held");
        for name in &counts.unsteady {
            println!("test {name} ... UNSTEADY: failed, and passed when tried once more");
        }
        if !counts.failed.is_empty() {
            println!("\nfailures:\n    {}", counts.failed.join("\n    "));
        }
        println!(
            "\ntest result: {}. {} passed; {} failed; {} ignored; 0 measured; 0 filtered out; finished in {:.2}s\n",
            if counts.failed.is_empty() { "ok" } else { "FAILED" },
            counts.passed,
            counts.failed.len(),
            counts.skipped,
            self.began.elapsed().as_secs_f32()
        );
        std::process::exit(if counts.failed.is_empty() { 0 } else { 101 })
    }
}
