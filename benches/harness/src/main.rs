// SPDX-License-Identifier: MIT OR Apache-2.0
//! The benchmark: builds the contestants, lets them take turns, writes benches/results.md and benches/plots/.
//!
//! dyco-bench BENCHES LIBRARY_FOLDER OUTPUT_FOLDER [SECTION[:CASE]...]: only these are measured anew; `build`: nothing, only what is
//! to be run is built; `report`: not even that.

mod build;
mod contestants;
mod data;
mod goals;
mod path;
mod plot;
mod report;
mod run;

use std::path::PathBuf;
use std::{env, fs, io};

use build::Place;
use contestants::SECTIONS;
use data::Data;
use run::Runner;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [sources, library, output, wanted @ ..] = arguments.as_slice() else {
        return Err(io::Error::other("dyco-bench BENCHES LIBRARY_FOLDER OUTPUT_FOLDER [SECTION[:CASE]...]"));
    };
    let programs = PathBuf::from(output);
    let data = programs.join("data");
    fs::create_dir_all(&data)?;
    let place = Place { sources: sources.into(), library: library.into(), programs, data };
    let quick = env::var_os("QUICK").is_some_and(|value| !value.is_empty());

    if wanted != ["report"] {
        build::build(&place)?;
        if wanted == ["build"] {
            return Ok(());
        }
        let runner = Runner::new(place, quick)?;
        for section in SECTIONS {
            for case in section.cases {
                let named = |name: &String| *name == section.name || *name == format!("{}:{}", section.name, case.name);
                let all = wanted.is_empty() && (case.quick || !quick);
                if all || wanted.iter().any(named) {
                    runner.run(section, case)?;
                }
            }
        }
        return write_report(&runner.place);
    }
    write_report(&place)
}

fn write_report(place: &Place) -> io::Result<()> {
    let data = Data::load(&place.data)?;
    let plots = place.sources.join("plots");
    fs::create_dir_all(&plots)?;
    plot::write_all(&data, &plots)?;
    let text = report::report(&data);
    fs::write(place.sources.join("results.md"), &text)?;
    print!("{text}");
    Ok(())
}
