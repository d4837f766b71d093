//! The gallery against FAISS (`IndexFlatIP`), exact and with one thread as well, on the same vectors: time per query, how
//! often the approximate search finds who is really most similar, and memory.
//!
//! `cargo bench -p vedette-models --bench gallery [-- [--templates N] [ROWS…]]`: N templates per person (1 unless said
//! otherwise), galleries of so many templates (1000, 10 000, 100 000 and 1 000 000).

#![allow(clippy::unwrap_used, reason = "a bench that cannot set up has nothing to measure")]

mod people;

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use people::{Draw, picture};
use vedette_models::gallery::Gallery;

const DIMENSIONS: [usize; 2] = [128, 512];
/// Of all sizes the queries are of people who are enrolled, but for every fourth, which is a stranger's.
const QUERIES: u64 = 1000;
const STRANGER: u64 = 1 << 40;
/// As a decision needs: the best person and the runner-up.
const K: usize = 2;
/// Times both take their turn; the median counts.
const TURNS: usize = 5;
/// Rows compared in a turn; all queries are asked where that is more.
const ROWS_PER_TURN: u64 = 40_000_000;

/// FAISS in a process of its own.
struct Faiss {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(serde::Deserialize)]
struct Truth {
    rows: Vec<Vec<u64>>,
    similarities: Vec<Vec<f32>>,
}

impl Faiss {
    fn start(
        python: &Path,
        folder: &Path,
        dimension: usize,
        k: usize,
    ) -> Result<(Self, Truth), Box<dyn Error>> {
        let mut process = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gallery/faiss_flat.py"))
            .args([folder.join("templates"), folder.join("queries")])
            .args([dimension.to_string(), k.to_string()])
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = process.stdin.take().ok_or("FAISS takes no orders")?;
        let answers = BufReader::new(process.stdout.take().ok_or("FAISS gives no answers")?);
        let mut faiss = Self { process, orders, answers };
        let truth = serde_json::from_str(&faiss.answer()?)?;
        Ok((faiss, truth))
    }

    fn answer(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() { Err("FAISS has ended".into()) } else { Ok(line) }
    }

    /// The median time of a query in microseconds.
    fn time_us(&mut self, queries: usize) -> Result<f64, Box<dyn Error>> {
        writeln!(self.orders, "{queries}")?;
        let seconds: Vec<f64> = serde_json::from_str(&self.answer()?)?;
        Ok(1e6 * median(seconds))
    }
}

impl Drop for Faiss {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The median time of a query in microseconds.
fn time_us(gallery: &Gallery, queries: &[Vec<f32>]) -> f64 {
    let time = |query: &Vec<f32>| {
        let begun = Instant::now();
        black_box(gallery.best(black_box(query), K));
        begun.elapsed().as_secs_f64()
    };
    1e6 * median(queries.iter().map(time).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn write_row(file: &mut impl std::io::Write, row: &[f32]) -> std::io::Result<()> {
    row.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

/// An id as the control plane makes them.
fn id(person: u64) -> String {
    format!("{person:08x}-5eed-7000-8000-{person:012x}")
}

fn compare(python: &Path, rows: u64, dimension: usize, per_person: u64) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let persons = rows / per_person;
    let mut gallery = Gallery::new(dimension);
    let mut file = BufWriter::new(File::create(folder.path().join("templates"))?);
    for person in 0..persons {
        let templates: Vec<Vec<f32>> = (0..per_person)
            .map(|template| unit(picture(dimension, person, Draw::Template, template)))
            .collect();
        templates.iter().try_for_each(|template| write_row(&mut file, template))?;
        gallery.add_person(id(person), format!("Person {person}"), &templates)?;
    }
    file.flush()?;
    let asked = |query: u64| match query % 4 {
        3 => STRANGER + query,
        _ => query * 7919 % persons,
    };
    let queries: Vec<Vec<f32>> =
        (0..QUERIES).map(|query| unit(picture(dimension, asked(query), Draw::Query, query))).collect();
    let mut file = BufWriter::new(File::create(folder.path().join("queries"))?);
    queries.iter().try_for_each(|query| write_row(&mut file, query))?;
    file.flush()?;
    drop(file);

    // All of a person's templates may come before the first one of the runner-up.
    let (mut faiss, truth) = Faiss::start(python, folder.path(), dimension, K + per_person as usize - 1)?;
    let (mut first, mut second, mut worst) = (0, 0, 0.0_f32);
    for ((query, rows), similarities) in queries.iter().zip(&truth.rows).zip(&truth.similarities) {
        let mut best: Vec<(u64, f32)> =
            rows.iter().map(|row| row / per_person).zip(similarities.iter().copied()).collect();
        best.dedup_by_key(|(person, _)| *person);
        let found = gallery.best(query, K);
        let is_found = |place: usize| {
            best.get(place).zip(found.get(place)).is_some_and(|(best, found)| found.person.id == id(best.0))
        };
        first += usize::from(is_found(0));
        second += usize::from(is_found(0) && is_found(1));
        if is_found(0) {
            worst = worst.max((best[0].1 - found[0].similarity).abs());
        }
    }

    let timed = &queries[..(ROWS_PER_TURN / rows).min(QUERIES) as usize];
    let mut times: [Vec<f64>; 2] = Default::default();
    for _ in 0..TURNS {
        times[0].push(time_us(&gallery, timed));
        times[1].push(faiss.time_us(timed.len())?);
    }
    let [ours_us, faiss_us] = times.map(median);
    println!(
        "{dimension:9} {rows:9} {ours_us:12.1} {faiss_us:12.1} {:7.2} {:9.4} {:9.4} {worst:10.6} {:15.1}",
        faiss_us / ours_us,
        first as f64 / QUERIES as f64,
        second as f64 / QUERIES as f64,
        gallery.memory_bytes() as f64 / rows as f64,
    );
    Ok(())
}

/// The Python of an environment with FAISS.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(folder.join("../tests/python.sh"))
        .arg(folder.join("benches/gallery/requirements.txt"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !made.status.success() {
        return Err("an environment with FAISS cannot be made".into());
    }
    Ok(String::from_utf8_lossy(&made.stdout).trim().into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    let per_person =
        match arguments.next_if(|argument| argument == "--templates").and_then(|_| arguments.next()) {
            Some(count) => count.parse::<u64>()?.max(1),
            None => 1,
        };
    let mut sizes = arguments.map(|rows| rows.parse::<u64>()).collect::<Result<Vec<u64>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![1000, 10_000, 100_000, 1_000_000];
    }
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: {why}");
            return Ok(());
        }
    };
    println!("{QUERIES} queries, best {K}, {per_person} template(s) per person, one thread, medians");
    println!(
        "dimension      rows     ours, µs    FAISS, µs   ratio  recall@1  recall@2      error  bytes/template"
    );
    for dimension in DIMENSIONS {
        for rows in &sizes {
            compare(&python, *rows, dimension, per_person)?;
        }
    }
    Ok(())
}
