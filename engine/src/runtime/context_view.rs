//! What one attempt sees of its run: the core's view, with the names of those who wrote it.
//!
//! A compiled-in task looks at it directly. To a package goes with the call what is small, and what a package asks for
//! after that is answered from here; the values themselves are never copied before they cross. A package of an earlier
//! version cannot ask and gets everything at once.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::{__private::v1::Source, OutcomeRecord, payload::View as Payload};
use serde_json::value::RawValue;

use crate::{
    core::{context::Write, plan::Plan, view::View},
    loader::{Answer, AnswerText, OUTPUT_BYTES_MAX, Question, Unanswered},
};

/// A context of so many keys goes with the call. Each costs about a microsecond on either side, and asking for one some
/// thirty, so a task that reads one of more is better off asking.
const EAGER_KEYS: usize = 64;
/// So many bytes of it do.
const EAGER_BYTES: usize = 64 << 10;
/// Where they are more, those values do that are no longer than this.
const EAGER_VALUE_BYTES: usize = 1 << 10;

/// What one attempt sees.
#[derive(Debug)]
pub(crate) struct ContextView {
    pub(crate) view: View,
    pub(crate) plan: Arc<Plan>,
}

impl ContextView {
    /// Whether no value is larger than what may cross. One that is could never be answered.
    pub(crate) fn fits(&self) -> bool {
        self.view.extent().largest <= OUTPUT_BYTES_MAX
    }

    /// What goes with a call.
    pub(crate) fn carried(&self, outcome: Option<OutcomeRecord>) -> Payload {
        let extent = self.view.extent();
        let mut payload = Payload { outcome, hidden: extent.has_hidden, ..Payload::default() };
        if extent.n_keys > EAGER_KEYS {
            payload.partial = true;
            return payload;
        }
        payload.partial = extent.n_bytes > EAGER_BYTES;
        for (key, write) in self.view.iter() {
            if let Some(value) = write.value()
                && (!payload.partial || key.len() + value.get().len() <= EAGER_VALUE_BYTES)
            {
                self.put(&mut payload, key, write, value);
            }
        }
        payload
    }

    /// What a package asks for.
    pub(crate) fn answer(
        &self,
        question: &Question<'_>,
        outcome: Option<OutcomeRecord>,
    ) -> Result<Option<Answer>, Unanswered> {
        let answer = match *question {
            Question::Value { task: None, key } => self.view.get(key).and_then(|write| self.answer_with(write)),
            Question::Value { task: Some(task), key } => {
                self.write_of(task, key).and_then(|write| self.answer_with(write))
            }
            Question::Writer { key } => {
                let write = self.view.get(key).filter(|write| write.value().is_some());
                write.map(|write| Answer { value: AnswerText::None, writer: self.writer_of(write) })
            }
            Question::Keys { task: None } => Some(made(&self.keys().collect::<Vec<_>>())?),
            Question::Keys { task: Some(task) } => Some(made(&self.keys_from(task).collect::<Vec<_>>())?),
            Question::All => {
                let is_small = self.view.extent().n_bytes <= OUTPUT_BYTES_MAX;
                Some(made(&is_small.then(|| self.whole(outcome)).ok_or(Unanswered::TooLarge)?)?)
            }
        };
        match &answer {
            Some(answer) if answer.bytes().len() > OUTPUT_BYTES_MAX => Err(Unanswered::TooLarge),
            _ => Ok(answer),
        }
    }

    /// Everything, with what later writers hid.
    fn whole(&self, outcome: Option<OutcomeRecord>) -> Payload {
        let mut payload = Payload { outcome, ..Payload::default() };
        for (key, write) in self.view.iter() {
            if let Some(value) = write.value() {
                self.put(&mut payload, key, write, value);
            }
            for hidden in write.hidden() {
                if let (Some(writer), Some(value)) = (self.writer_of(hidden), hidden.value()) {
                    let of_writer: &mut BTreeMap<_, _> = payload.from.entry(writer).or_default();
                    of_writer.insert(key.clone(), value.clone());
                }
            }
        }
        payload
    }

    fn put(&self, payload: &mut Payload, key: &Arc<str>, write: &Write, value: &Arc<RawValue>) {
        payload.values.insert(key.clone(), value.clone());
        if let Some(writer) = self.writer_of(write) {
            payload.producer.insert(key.clone(), writer);
        }
    }

    fn answer_with(&self, write: &Write) -> Option<Answer> {
        let value = AnswerText::Shared(write.value()?.clone());
        Some(Answer { value, writer: self.writer_of(write) })
    }

    fn writer_of(&self, write: &Write) -> Option<Arc<str>> {
        write.rank().map(|rank| self.plan.task(self.plan.graph.order()[rank as usize]).id.clone())
    }

    fn name_of(&self, write: &Write) -> Option<&str> {
        write.rank().map(|rank| &*self.plan.task(self.plan.graph.order()[rank as usize]).id)
    }

    /// The write of that task to the key, which may be hidden.
    fn write_of(&self, task: &str, key: &str) -> Option<&Write> {
        let write = self.view.get(key)?;
        std::iter::once(&**write).chain(write.hidden()).find(|write| self.name_of(write) == Some(task))
    }
}

impl Source for ContextView {
    fn writer(&self, key: &str) -> Option<Option<&str>> {
        let write = self.view.get(key).filter(|write| write.value().is_some())?;
        Some(self.name_of(write))
    }

    fn read(&self, key: &str, take: &mut dyn FnMut(&RawValue)) -> bool {
        self.view.get(key).and_then(|write| write.value()).map(|raw| take(raw)).is_some()
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.view.iter().filter(|(_, write)| write.value().is_some()).map(|(key, _)| &**key))
    }

    fn read_from(&self, task: &str, key: &str, take: &mut dyn FnMut(&RawValue)) -> bool {
        self.write_of(task, key).and_then(Write::value).map(|raw| take(raw)).is_some()
    }

    fn keys_from<'a>(&'a self, task: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        let wrote = move |key: &str| self.write_of(task, key).is_some_and(|write| write.value().is_some());
        Box::new(self.view.iter().map(|(key, _)| &**key).filter(move |key| wrote(key)))
    }
}

fn made(answer: &impl serde::Serialize) -> Result<Answer, Unanswered> {
    // Text and values that were JSON before always are JSON.
    let bytes = serde_json::to_vec(answer).map_err(|_| Unanswered::Unknown)?;
    Ok(Answer { value: AnswerText::Made(bytes), writer: None })
}
