//! How values are written whose own types have no JSON: durations, contexts and the errors of tasks.

/// Durations that may be absent, as microseconds.
pub(super) mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::view) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        // A number of 64 bits holds half a million years.
        duration.map(|duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub(in crate::view) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_micros))
    }
}

/// Contexts as objects.
pub(super) mod context {
    use cloacina_workflow::{Context, Value};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub(in crate::view) fn serialize<S: Serializer>(
        context: &Context<Value>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        context.serialize(serializer)
    }

    pub(in crate::view) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Context<Value>, D::Error> {
        let object = Value::deserialize(deserializer)?;
        Context::from_object(object).ok_or_else(|| D::Error::custom("a context is an object"))
    }
}

/// The error of a task, if it failed, as a [`Failure`](super::Failure).
pub(super) mod failure {
    use cloacina_workflow::TaskError;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::view::Failure;

    pub(in crate::view) fn serialize<S: Serializer>(
        error: &Option<TaskError>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        error.as_ref().map(Failure::new).serialize(serializer)
    }

    pub(in crate::view) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<TaskError>, D::Error> {
        Ok(Option::<Failure>::deserialize(deserializer)?.map(Failure::into_error))
    }
}
