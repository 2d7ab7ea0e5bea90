// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was measured: a file for each section and case, so that one can be run anew without the others.

use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};

/// One figure, of one turn.
pub struct Measured {
    pub section: String,
    pub case: String,
    pub row: String,
    pub figure: String,
    pub value: f64,
}

pub struct Data(Vec<Measured>);

fn file(folder: &Path, section: &str, case: &str) -> PathBuf {
    folder.join(format!("{section}.{}.tsv", case.replace(' ', "-")))
}

/// Replaces what there was of this section and case; `turns` are lines of row, figure and value, tab-separated.
pub fn save(folder: &Path, section: &str, case: &str, turns: &str) -> Result<()> {
    let lines: String = turns.lines().map(|line| format!("{section}\t{case}\t{line}\n")).collect();
    fs::write(file(folder, section, case), lines)
}

impl Data {
    pub fn load(folder: &Path) -> Result<Data> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder)? {
            for line in fs::read_to_string(entry?.path())?.lines() {
                let mut fields = line.split('\t').map(str::to_string);
                let mut next = || fields.next().unwrap_or_default();
                let (section, case, row, figure) = (next(), next(), next(), next());
                if let Ok(value) = next().parse() {
                    all.push(Measured { section, case, row, figure, value });
                }
            }
        }
        Ok(Data(all))
    }

    /// In the order of the turns.
    pub fn turns(&self, section: &str, case: &str, row: &str, figure: &str) -> Vec<f64> {
        let fits = |m: &&Measured| m.section == section && m.case == case && m.row == row && m.figure == figure;
        self.0.iter().filter(fits).map(|m| m.value).collect()
    }

    pub fn median(&self, section: &str, case: &str, row: &str, figure: &str) -> Option<f64> {
        median(self.turns(section, case, row, figure))
    }

    pub fn least(&self, section: &str, case: &str, row: &str, figure: &str) -> Option<f64> {
        self.turns(section, case, row, figure).into_iter().min_by(f64::total_cmp)
    }

    /// The median of the ratios in the same round: what the machine does meanwhile falls on both.
    pub fn ratio(&self, section: &str, case: &str, row: &str, to: &str, figure: &str) -> Option<f64> {
        let mine = self.turns(section, case, row, figure);
        let theirs = self.turns(section, case, to, figure);
        median(mine.iter().zip(&theirs).map(|(mine, theirs)| mine / theirs).collect())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}
