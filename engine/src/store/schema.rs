//! The tables as diesel sees them; what the columns mean stands in the migrations.
//!
//! Both databases have the same tables. Indexes and checks are not seen here.

use diesel::{allow_columns_to_appear_in_same_group_by_clause, allow_tables_to_appear_in_same_query, joinable, table};

table! {
    setting (name) {
        name -> Text,
        value -> Text,
    }
}

table! {
    owner (epoch) {
        epoch -> BigInt,
        lease_until -> Nullable<BigInt>,
        ended -> Nullable<Text>,
        started_at -> Nullable<BigInt>,
        host -> Nullable<Text>,
        pid -> Nullable<BigInt>,
        machine -> Nullable<Text>,
        process_began -> Nullable<BigInt>,
    }
}

table! {
    request (id) {
        id -> Binary,
        run -> Binary,
        owner_epoch -> BigInt,
        action -> Text,
        task -> Nullable<Text>,
        actor -> Text,
        asked_at -> BigInt,
        answer -> Nullable<Text>,
    }
}

table! {
    package (tenant, digest) {
        tenant -> Text,
        digest -> Binary,
        archive_digest -> Binary,
        name -> Text,
        version -> Text,
        state -> Text,
        actor -> Text,
        registered_at -> BigInt,
        libraries -> Text,
        share -> Nullable<Integer>,
        state_before -> Nullable<Text>,
        quarantine_reason -> Nullable<Text>,
        quarantined_at -> Nullable<BigInt>,
        quarantined_until -> Nullable<BigInt>,
    }
}

table! {
    package_host (id) {
        id -> Binary,
        tenant -> Text,
        digest -> Binary,
        began_at -> BigInt,
        read_at -> BigInt,
        ended -> Nullable<Text>,
        n_calls -> BigInt,
        cpu_us -> Nullable<BigInt>,
        peak_bytes -> Nullable<BigInt>,
    }
}

table! {
    archive (digest) {
        digest -> Binary,
        bytes -> Binary,
    }
}

table! {
    signature (archive, digest) {
        archive -> Binary,
        digest -> Binary,
        bytes -> Binary,
        added_at -> BigInt,
    }
}

table! {
    package_event (id) {
        id -> BigInt,
        tenant -> Text,
        name -> Text,
        version -> Text,
        digest -> Binary,
        kind -> Text,
        at -> BigInt,
        actor -> Text,
        reason -> Nullable<Text>,
        from_state -> Nullable<Text>,
        to_state -> Nullable<Text>,
        share -> Nullable<Integer>,
    }
}

table! {
    workflow (id) {
        id -> Binary,
        tenant -> Text,
        package -> Text,
        name -> Text,
        digest -> Binary,
        fingerprint -> Text,
        descriptor -> Text,
    }
}

table! {
    run (id) {
        id -> Binary,
        workflow -> Binary,
        state -> Text,
        owner_epoch -> BigInt,
        created_at -> BigInt,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        submission_key -> Nullable<Text>,
        dismissed_at -> Nullable<BigInt>,
        created_by -> Nullable<Text>,
        dismissed_by -> Nullable<Text>,
        context_pruned_at -> Nullable<BigInt>,
        events_pruned_at -> Nullable<BigInt>,
    }
}

table! {
    event (run, sequence) {
        run -> Binary,
        sequence -> BigInt,
        kind -> Text,
        task -> Nullable<Integer>,
        attempt -> Nullable<Integer>,
        at -> BigInt,
        started_at -> Nullable<BigInt>,
        payload -> Nullable<Binary>,
        cpu_us -> Nullable<BigInt>,
        peak_bytes -> Nullable<BigInt>,
    }
}

table! {
    log (id) {
        id -> BigInt,
        run -> Binary,
        task -> Integer,
        attempt -> Integer,
        at -> BigInt,
        level -> Integer,
        target -> Text,
        message -> Text,
        fields -> Text,
        n_dropped -> BigInt,
    }
}

table! {
    removal (run, what) {
        run -> Binary,
        what -> Text,
    }
}

table! {
    trust_policy (tenant) {
        tenant -> Text,
        required -> Integer,
    }
}

table! {
    trust_key (tenant, key_id) {
        tenant -> Text,
        key_id -> Text,
        name -> Text,
        public_key -> Text,
        scopes -> Text,
        expires_at -> Nullable<BigInt>,
        added_at -> BigInt,
        added_by -> Text,
        revoked_at -> Nullable<BigInt>,
        revoked_by -> Nullable<Text>,
        revoked_reason -> Nullable<Text>,
    }
}

table! {
    trust_event (id) {
        id -> BigInt,
        tenant -> Text,
        kind -> Text,
        at -> BigInt,
        actor -> Text,
        key_id -> Nullable<Text>,
        digest -> Nullable<Binary>,
        detail -> Text,
    }
}

table! {
    tenant (name) {
        name -> Text,
        created_at -> BigInt,
        created_by -> Text,
    }
}

table! {
    account (name) {
        name -> Text,
        tenant -> Text,
        role -> Text,
        password -> Text,
        created_at -> BigInt,
        created_by -> Text,
        disabled_at -> Nullable<BigInt>,
    }
}

table! {
    api_key (id) {
        id -> Text,
        tenant -> Text,
        name -> Text,
        role -> Text,
        secret -> Binary,
        created_at -> BigInt,
        created_by -> Text,
        expires_at -> Nullable<BigInt>,
        used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

table! {
    refresh_token (hash) {
        hash -> Binary,
        family -> Binary,
        account -> Text,
        until -> BigInt,
        used_at -> Nullable<BigInt>,
        successor -> Nullable<Binary>,
    }
}

table! {
    audit (tenant, sequence) {
        tenant -> Text,
        sequence -> BigInt,
        at -> BigInt,
        actor -> Text,
        action -> Text,
        subject -> Text,
        result -> Text,
        address -> Text,
        request -> Text,
        detail -> Text,
        previous -> Binary,
        digest -> Binary,
    }
}

table! {
    /// What diesel keeps of the migrations that were applied.
    #[sql_name = "__diesel_schema_migrations"]
    migration (version) {
        version -> Text,
    }
}

allow_tables_to_appear_in_same_query!(workflow, package);
joinable!(run -> workflow (workflow));
allow_tables_to_appear_in_same_query!(run, workflow, event);
allow_columns_to_appear_in_same_group_by_clause!(run::workflow, event::task);
allow_columns_to_appear_in_same_group_by_clause!(package_host::tenant, package_host::digest);
