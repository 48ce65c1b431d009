//! States in JSON: by the names that are stored.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    core::{run, task},
    store::{PackageEventKind, PackageState, TrustEventKind},
};

macro_rules! write_by_name {
    ($($state:ty as $name:literal),* $(,)?) => {$(
        impl Serialize for $state {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::PartialSchema for $state {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                super::schema::one_of(<$state>::ALL.map(<$state>::as_str))
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::ToSchema for $state {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

macro_rules! read_by_name {
    ($($state:ty),*) => {$(
        impl<'de> Deserialize<'de> for $state {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

write_by_name!(
    run::State as "RunState",
    task::State as "TaskState",
    PackageState as "PackageState",
    PackageEventKind as "PackageEventKind",
    TrustEventKind as "TrustEventKind",
);
read_by_name!(run::State, task::State);

macro_rules! read_by_known_name {
    ($($kind:ty as $what:literal),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                name.parse().map_err(|()| D::Error::custom(format_args!("{name:?} is not {}", $what)))
            }
        }
    )*};
}

read_by_known_name!(PackageState as "a state of a package", PackageEventKind as "an event of a package");
