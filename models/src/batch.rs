//! One model, many callers, few sessions: whoever gets a session runs what the others are waiting for along with
//! his own. A large model computes two pictures in one run faster than in two, because each core then has a
//! picture to itself; so the more cameras wait, the faster each picture goes, and nobody waits for a timer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use ort::session::Session;
use ort::value::TensorRef;

use crate::error::ModelError;
use crate::session::SessionPool;

/// How many rows one run takes at most: as many as a session has cores ([`SessionPool::threads`]) would do for
/// speed, but each row takes another 15 MB of working memory.
const MAX_ROWS_PER_RUN: usize = 4;

/// A model whose input is rows of one shape, one row for each thing to compute, and whose output is rows too.
#[derive(Debug)]
pub struct BatchedModel {
    sessions: SessionPool,
    /// The shape of a row of the input.
    row_shape: Vec<usize>,
    /// How many numbers a row of the input has.
    row_length: usize,
    max_rows: usize,
    queue: Mutex<Queue>,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Job>,
    finished: HashMap<u64, Outcome>,
    running: usize,
    next_id: u64,
    #[cfg(test)]
    runs: usize,
}

/// The rows of one caller.
#[derive(Debug)]
struct Job {
    id: u64,
    rows: usize,
    values: Vec<f32>,
}

/// The output rows of one caller, or what ONNX Runtime said to the one who ran them.
type Outcome = Result<Vec<f32>, String>;

/// Some jobs while they run. However the run ends, their callers are told.
struct Run<'a> {
    model: &'a BatchedModel,
    jobs: Vec<Job>,
    outcome: Outcome,
}

impl BatchedModel {
    /// A model whose input has the shape `[rows, …row_shape]`; `batches` says whether it takes several rows.
    pub fn new(sessions: SessionPool, row_shape: &[usize], batches: bool) -> Self {
        // One core has nothing to share out: there a batch is only more memory.
        let max_rows = if batches && sessions.threads() > 1 { MAX_ROWS_PER_RUN } else { 1 };
        Self {
            sessions,
            row_shape: row_shape.to_vec(),
            row_length: row_shape.iter().product(),
            max_rows,
            queue: Mutex::default(),
            finished: Condvar::new(),
        }
    }

    /// The sessions the model runs in.
    pub fn sessions(&self) -> &SessionPool {
        &self.sessions
    }

    /// How many rows are computed together at most: handing over more at once gains nothing.
    pub fn max_rows(&self) -> usize {
        self.max_rows
    }

    /// Computes the output for the rows in `values`, one after the other.
    pub fn run(&self, values: &[f32]) -> Result<Vec<f32>, ModelError> {
        if self.row_length == 0 || !values.len().is_multiple_of(self.row_length) {
            let reason = format!("takes rows of {} numbers, not {} numbers", self.row_length, values.len());
            return Err(ModelError::UnexpectedTensor { model: self.sessions.label().into(), reason });
        }
        let mut output = Vec::new();
        for rows in values.chunks(self.row_length * self.max_rows) {
            let computed = self.run_job(rows).map_err(|reason| ModelError::UnexpectedTensor {
                model: self.sessions.label().into(),
                reason: format!("failed to run: {reason}"),
            })?;
            output.extend_from_slice(&computed);
        }
        Ok(output)
    }

    fn run_job(&self, values: &[f32]) -> Outcome {
        let mut queue = self.lock();
        let id = queue.next_id;
        queue.next_id += 1;
        queue.waiting.push_back(Job { id, rows: values.len() / self.row_length, values: values.to_vec() });
        loop {
            if let Some(outcome) = queue.finished.remove(&id) {
                return outcome;
            }
            let may_run = queue.running < self.sessions.capacity();
            if !may_run || queue.waiting.is_empty() {
                queue = self.finished.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let mut run = self.begin(&mut queue);
            drop(queue);
            run.execute();
            drop(run);
            queue = self.lock();
        }
    }

    /// Takes what one run can hold from the front of the queue.
    fn begin(&self, queue: &mut Queue) -> Run<'_> {
        let mut jobs: Vec<Job> = Vec::new();
        let mut rows = 0;
        while let Some(job) = queue.waiting.pop_front_if(|job| rows == 0 || rows + job.rows <= self.max_rows)
        {
            rows += job.rows;
            jobs.push(job);
        }
        queue.running += 1;
        #[cfg(test)]
        {
            queue.runs += 1;
        }
        Run { model: self, jobs, outcome: Err("the run was interrupted".into()) }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while the lock is held, and the queue would be whole if something did.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run<'_> {
    fn execute(&mut self) {
        let rows = self.jobs.iter().map(|job| job.rows).sum::<usize>();
        let joined;
        let values = match self.jobs.as_slice() {
            [job] => job.values.as_slice(),
            jobs => {
                joined = jobs.iter().flat_map(|job| job.values.iter().copied()).collect::<Vec<f32>>();
                &joined
            }
        };
        let outcome = self.model.sessions.run(|session| infer(session, &self.model.row_shape, rows, values));
        self.outcome = outcome.map_err(|error| error.to_string());
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let rows = self.jobs.iter().map(|job| job.rows).sum::<usize>();
        let mut queue = self.model.lock();
        queue.running -= 1;
        let mut first_row = 0;
        for job in self.jobs.drain(..) {
            let outcome = self.outcome.as_ref().map_err(String::clone).map(|output| {
                let output_length = output.len() / rows.max(1);
                let range = first_row * output_length..(first_row + job.rows) * output_length;
                output.get(range).unwrap_or_default().to_vec()
            });
            first_row += job.rows;
            queue.finished.insert(job.id, outcome);
        }
        drop(queue);
        self.model.finished.notify_all();
    }
}

fn infer(
    session: &mut Session,
    row_shape: &[usize],
    rows: usize,
    values: &[f32],
) -> Result<Vec<f32>, ModelError> {
    let mut shape = vec![rows];
    shape.extend_from_slice(row_shape);
    let outputs = session.run(ort::inputs![TensorRef::from_array_view((shape, values))?])?;
    let (_, output) = outputs[0].try_extract_tensor::<f32>()?;
    Ok(output.to_vec())
}

#[cfg(test)]
mod tests;
