//! Who may ask, on both databases: what a caller may change and sees, what lets somebody in, and what the log tells.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cloacina_workflow::Timestamp;

use super::{Access, Asked, Error, Gate, Identity, NewAccount, NewKey};
use crate::{
    api::{Caller, Role},
    clock::Clock,
    store::{self, Store, testing::TestDatabase},
};

const PASSWORD: &str = "correct horse battery";

/// Tests of what both databases do, each under a module of its name.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod sqlite {
            $(#[test] fn $name() { super::run(super::TestDatabase::sqlite(), super::$name); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::run(super::TestDatabase::postgres(), super::$name); })*
        }
    };
}

on_both! {
    a_password_lets_in_whom_it_belongs_to,
    a_key_lets_in_until_it_is_revoked_or_expires,
    a_refresh_token_is_used_once,
    a_tenant_sees_and_changes_its_own_alone,
    only_admins_manage_who_may_ask,
    the_first_account_is_made_once,
    what_was_changed_in_the_audit_log_is_found,
}

#[derive(Debug)]
struct Held(AtomicU64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::Relaxed))
    }
}

struct Fixture {
    gate: Arc<Gate>,
    clock: Arc<Held>,
    database: TestDatabase,
}

impl Fixture {
    fn access(&self, caller: Caller) -> Access {
        Access::new(Arc::clone(&self.gate), caller)
    }

    /// As an admin of every tenant.
    fn every(&self) -> Access {
        self.access(Caller::of_every_tenant("root").unwrap())
    }

    fn of(&self, tenant: &str, role: Role) -> Access {
        self.access(Caller::of_tenant(tenant, "ann", role).unwrap())
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// The newest entry of that log: the action, the subject and the result.
    async fn newest(&self, access: &Access) -> (String, String, String) {
        let entry = access.audit(None, 1).await.unwrap().remove(0);
        (entry.action, entry.subject, entry.result)
    }
}

fn run<F: Future<Output = ()>>(database: TestDatabase, test: impl FnOnce(Arc<Fixture>) -> F) {
    let store = Store::open(store::Options::new(database.database.clone(), Box::new(|_| {}))).unwrap();
    let clock = Arc::new(Held(AtomicU64::new(1_700_000_000_000_000)));
    let gate = Arc::new(Gate::new(store.clone(), clock.clone()));
    let fixture = Arc::new(Fixture { gate, clock, database });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test(Arc::clone(&fixture)));
    // Before the database goes.
    store.close();
    drop(fixture);
}

fn account(name: &str, tenant: Option<&str>, role: Role) -> NewAccount {
    NewAccount { name: name.to_owned(), tenant: tenant.map(str::to_owned), role, password: PASSWORD.to_owned() }
}

fn key(name: &str, tenant: Option<&str>, role: Role) -> NewKey {
    NewKey { name: name.to_owned(), tenant: tenant.map(str::to_owned), role, expires_at: None }
}

fn code<T>(answer: Result<T, Error>) -> &'static str {
    answer.err().map_or("fine", |error| error.code())
}

async fn a_password_lets_in_whom_it_belongs_to(fixture: Arc<Fixture>) {
    let every = fixture.every();
    every.account_add(account("bob", Some("public"), Role::Operator)).await.unwrap();
    let log_in = async |name: &str, password: &str| every.log_in(name, password.to_owned()).await.unwrap();
    let logged_in = log_in("bob", PASSWORD).await.unwrap();
    let identity = Identity { actor: "bob".to_owned(), tenant: Some("public".to_owned()), role: Role::Operator };
    assert_eq!(logged_in.identity, identity);
    let caller = logged_in.identity.caller().unwrap();
    assert_eq!((caller.tenant(), caller.actor(), caller.role()), (Some("public"), "bob", Role::Operator));
    assert_eq!(every.identify_account("bob").await.unwrap(), Some(identity));
    for (name, password) in [("bob", "another password"), ("eve", PASSWORD), ("", PASSWORD), ("bob", "")] {
        assert!(log_in(name, password).await.is_none(), "{name} {password}");
    }
    assert!(log_in("bob", &"x".repeat(1 << 20)).await.is_none());
    let public = fixture.of("public", Role::Admin);
    assert_eq!(fixture.newest(&public).await, ("logged_in".into(), "bob".into(), "refused".into()));

    every.account_set_password("bob", "another password".to_owned()).await.unwrap();
    assert!(every.refresh(&logged_in.refresh_token).await.unwrap().is_none(), "the session has ended");
    assert!(log_in("bob", PASSWORD).await.is_none());
    let again = log_in("bob", "another password").await.unwrap();
    every.account_disable("bob").await.unwrap();
    assert!(log_in("bob", "another password").await.is_none());
    assert!(every.refresh(&again.refresh_token).await.unwrap().is_none());
    assert_eq!(every.identify_account("bob").await.unwrap(), None);
    let shown = format!("{:?} {again:?}", account("bob", None, Role::Admin));
    assert!(!shown.contains(PASSWORD) && !shown.contains(&again.refresh_token), "{shown}");
}

async fn a_key_lets_in_until_it_is_revoked_or_expires(fixture: Arc<Fixture>) {
    let every = fixture.every();
    let issued = every.key_add(key("ci", Some("public"), Role::Operator)).await.unwrap();
    let expires_at = Some(fixture.clock.now()).map(|now| Timestamp::from_unix_micros(now.unix_micros() + 1_000_000));
    let short = NewKey { expires_at, ..key("short", None, Role::Admin) };
    let short = every.key_add(short).await.unwrap();
    let who = async |text: &str| every.identify_key(text).await.unwrap();
    let identity = Identity { actor: "key:ci".to_owned(), tenant: Some("public".to_owned()), role: Role::Operator };
    assert_eq!(who(&issued.text).await, Some(identity));
    assert_eq!(who(&short.text).await.map(|identity| identity.tenant), Some(None));
    let other = issued.text.replace(&issued.record.id, &short.record.id);
    for wrong in ["", "clk_", &other, &issued.text[..20], &issued.text.to_uppercase()] {
        assert_eq!(who(wrong).await, None, "{wrong}");
    }
    fixture.pass(Duration::from_secs(1));
    assert_eq!(who(&short.text).await, None, "it has expired");

    let used_at = async || {
        let keys = every.keys("", 10).await.unwrap();
        keys.into_iter().find(|key| key.name == "ci").unwrap().used_at
    };
    // A use is written on the way; a change that is waited for is behind it.
    every.tenant_add("beta").await.unwrap();
    let first = used_at().await.unwrap();
    who(&issued.text).await.unwrap();
    every.tenant_add("gamma").await.unwrap();
    assert_eq!(used_at().await, Some(first), "it was written down less than a minute ago");
    fixture.pass(Duration::from_secs(61));
    who(&issued.text).await.unwrap();
    every.tenant_add("delta").await.unwrap();
    assert!(used_at().await.unwrap() > first);

    let revoked = every.key_revoke(&issued.record.id).await.unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(who(&issued.text).await, None);
    assert_eq!(every.key_revoke(&issued.record.id).await.unwrap().revoked_at, revoked.revoked_at);
    assert_eq!(code(every.key_add(key("ci", Some("public"), Role::Viewer)).await), "ACC0006");
    assert!(!format!("{issued:?}").contains(&issued.text));
}

async fn a_refresh_token_is_used_once(fixture: Arc<Fixture>) {
    let every = fixture.every();
    every.account_add(account("bob", Some("public"), Role::Viewer)).await.unwrap();
    let log_in = async || every.log_in("bob", PASSWORD.to_owned()).await.unwrap().unwrap().refresh_token;
    let refresh = async |token: &str| every.refresh(token).await.unwrap().map(|logged_in| logged_in.refresh_token);
    let first = log_in().await;
    let second = refresh(&first).await.unwrap();
    assert_ne!(first, second);
    fixture.pass(Duration::from_secs(9));
    assert_eq!(refresh(&first).await, Some(second.clone()), "a lost answer is given again");
    let third = refresh(&second).await.unwrap();
    // Another session is not touched by the end of this one.
    let other = log_in().await;
    fixture.pass(Duration::from_secs(1));
    assert_eq!(refresh(&first).await, None, "it was used ten seconds ago");
    let public = fixture.of("public", Role::Admin);
    assert_eq!(fixture.newest(&public).await, ("refresh_reused".into(), "bob".into(), "refused".into()));
    for ended in [&first, &second, &third] {
        assert_eq!(refresh(ended).await, None, "its family has ended");
    }
    let other = refresh(&other).await.unwrap();
    every.log_out(&other).await.unwrap();
    assert_eq!(refresh(&other).await, None);
    every.log_out(&other).await.unwrap();
    assert_eq!(refresh("nothing").await, None);

    let mut last = log_in().await;
    for _ in 0..3 {
        fixture.pass(Duration::from_secs(10 * 24 * 3_600) - Duration::from_secs(1));
        last = refresh(&last).await.unwrap();
    }
    fixture.pass(Duration::from_secs(3));
    assert_eq!(refresh(&last).await, None, "a session ends after thirty days, however often it was refreshed");
}

async fn a_tenant_sees_and_changes_its_own_alone(fixture: Arc<Fixture>) {
    let every = fixture.every();
    for tenant in ["acme", "beta"] {
        every.tenant_add(tenant).await.unwrap();
        every.account_add(account(&format!("{tenant}-ann"), Some(tenant), Role::Admin)).await.unwrap();
        every.key_add(key("ci", Some(tenant), Role::Operator)).await.unwrap();
    }
    every.account_add(account("root", None, Role::Admin)).await.unwrap();
    let every_key = every.key_add(key("root", None, Role::Admin)).await.unwrap();
    let acme = fixture.of("acme", Role::Admin);
    let names = |accounts: Vec<crate::view::AccountRecord>| -> Vec<String> {
        accounts.into_iter().map(|account| account.name).collect()
    };
    assert_eq!(names(acme.accounts("", 10).await.unwrap()), ["acme-ann"]);
    assert_eq!(names(every.accounts("", 10).await.unwrap()), ["acme-ann", "beta-ann", "root"]);
    assert_eq!(names(every.accounts("acme-ann", 1).await.unwrap()), ["beta-ann"]);
    let tenants = |tenants: Vec<crate::view::TenantRecord>| -> Vec<String> {
        tenants.into_iter().map(|tenant| tenant.name).collect()
    };
    assert_eq!(tenants(acme.tenants().await.unwrap()), ["acme"]);
    assert_eq!(tenants(every.tenants().await.unwrap()), ["acme", "beta", "public"]);
    assert_eq!(acme.keys("", 10).await.unwrap().len(), 1);
    assert_eq!(every.keys("", 10).await.unwrap().len(), 3);
    for hidden in ["beta-ann", "root", "nothing"] {
        assert_eq!(code(acme.account(hidden).await), "ACC0001", "{hidden}");
        assert_eq!(code(acme.account_disable(hidden).await), "ACC0001", "{hidden}");
        assert_eq!(code(acme.account_set_password(hidden, PASSWORD.to_owned()).await), "ACC0001", "{hidden}");
    }
    let beta_key = fixture.of("beta", Role::Admin).keys("", 1).await.unwrap().remove(0);
    for hidden in [beta_key.id.as_str(), &every_key.record.id, "nothing"] {
        assert_eq!(code(acme.key_revoke(hidden).await), "ACC0005", "{hidden}");
    }
    for (tenant, expected) in [(Some("beta"), "ACC0003"), (Some("nothing"), "ACC0003"), (None, "RUN0024")] {
        assert_eq!(code(acme.account_add(account("new", tenant, Role::Admin)).await), expected);
        assert_eq!(code(acme.key_add(key("new", tenant, Role::Admin)).await), expected);
    }
    assert_eq!(code(acme.tenant_add("gamma").await), "RUN0024");
    assert_eq!(code(acme.account_add(account("acme-bob", Some("acme"), Role::Worker)).await), "fine");
    let told = acme.audit(None, 10).await.unwrap();
    let told: Vec<(&str, &str)> = told.iter().map(|entry| (entry.action.as_str(), entry.actor.as_str())).collect();
    assert_eq!(told, [("account_added", "ann"), ("key_added", "root"), ("account_added", "root")]);
    assert_eq!(every.audit(None, 1).await.unwrap()[0].action, "key_added");
}

async fn only_admins_manage_who_may_ask(fixture: Arc<Fixture>) {
    let every = fixture.every();
    every.account_add(account("bob", Some("public"), Role::Operator)).await.unwrap();
    let issued = every.key_add(key("ci", Some("public"), Role::Operator)).await.unwrap();
    for role in [Role::Worker, Role::Viewer, Role::Operator] {
        let access = fixture.of("public", role);
        let answers = [
            code(access.tenants().await),
            code(access.tenant_add("acme").await),
            code(access.accounts("", 1).await),
            code(access.account("bob").await),
            code(access.account_add(account("new", Some("public"), Role::Viewer)).await),
            code(access.account_disable("bob").await),
            code(access.account_set_password("bob", PASSWORD.to_owned()).await),
            code(access.keys("", 1).await),
            code(access.key_add(key("new", Some("public"), Role::Viewer)).await),
            code(access.key_revoke(&issued.record.id).await),
            code(access.audit(None, 1).await),
            code(access.audit_from(0, 1).await),
            code(access.audit_check().await),
            code(access.first_admin().await),
        ];
        assert_eq!(answers, ["RUN0024"; 14], "{role:?}");
    }
    let wrong = [
        (account("bob", Some("public"), Role::Viewer), "ACC0002"),
        (account("new", Some("acme"), Role::Viewer), "ACC0003"),
        (NewAccount { password: "short".to_owned(), ..account("new", Some("public"), Role::Viewer) }, "ACC0007"),
        (account("a b", Some("public"), Role::Viewer), "ACC0008"),
        (account("new", None, Role::Operator), "ACC0009"),
        (account("", Some("public"), Role::Viewer), "RUN0020"),
    ];
    for (new, expected) in wrong {
        assert_eq!(code(every.account_add(new).await), expected);
    }
    assert_eq!(code(every.tenant_add("public").await), "ACC0004");
    assert_eq!(code(every.tenant_add("*").await), "ACC0008");
}

async fn the_first_account_is_made_once(fixture: Arc<Fixture>) {
    let every = fixture.every();
    let (name, password) = every.first_admin().await.unwrap().unwrap();
    let logged_in = every.log_in(&name, password).await.unwrap().unwrap();
    assert_eq!((logged_in.identity.tenant, logged_in.identity.role), (None, Role::Admin));
    assert_eq!(every.first_admin().await.unwrap(), None);
    assert_eq!(code(every.account_disable(&name).await), "ACC0010");
    every.account_add(account("root", None, Role::Admin)).await.unwrap();
    every.account_disable(&name).await.unwrap();
    assert_eq!(every.first_admin().await.unwrap(), None, "an account that is disabled is there");
    assert_eq!(code(every.account_disable("root").await), "ACC0010");
}

async fn what_was_changed_in_the_audit_log_is_found(fixture: Arc<Fixture>) {
    let asked = Asked { address: "192.0.2.7".to_owned(), request_id: "ä".repeat(100) };
    let every = fixture.every().asked_from(asked);
    let empty = every.audit_check().await.unwrap();
    assert_eq!((empty.is_intact, empty.entries, empty.digest), (true, 0, None));
    for name in ["acme", "beta", "gamma", "delta"] {
        every.tenant_add(name).await.unwrap();
    }
    let whole = every.audit_check().await.unwrap();
    let newest = every.audit(None, 1).await.unwrap().remove(0);
    assert_eq!((whole.is_intact, whole.entries, whole.broken), (true, 4, None));
    assert_eq!(whole.digest.as_deref(), Some(newest.digest.as_str()));
    assert_eq!((newest.number, newest.address.as_deref()), (4, Some("192.0.2.7")));
    assert_eq!(newest.request_id.map(|id| id.len()), Some(128), "it was cut between two letters");
    let rest = every.audit(Some(4), 2).await.unwrap();
    assert_eq!(rest.iter().map(|entry| entry.number).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(every.audit_from(2, 10).await.unwrap()[0].subject, "gamma");

    // The database itself refuses to change an entry, until somebody with its rights removes what refuses.
    let update = "UPDATE audit SET actor = 'eve' WHERE tenant = '*' AND sequence = 3";
    let changed = |statement: &'static str| {
        let write = move |connection: &mut store::Connection| {
            diesel::connection::SimpleConnection::batch_execute(connection, statement)
        };
        fixture.gate.store.write("test", write)
    };
    changed(update).await.unwrap_err();
    changed("DELETE FROM audit").await.unwrap_err();
    match fixture.database.is_file() {
        true => fixture.database.execute("DROP TRIGGER audit_kept_update; DROP TRIGGER audit_kept_delete"),
        false => fixture.database.execute("DROP TRIGGER audit_kept ON audit"),
    }
    fixture.database.execute(update);
    let broken = every.audit_check().await.unwrap();
    assert_eq!((broken.is_intact, broken.entries, broken.broken), (false, 2, Some(3)));
    fixture.database.execute("UPDATE audit SET actor = 'root' WHERE tenant = '*' AND sequence = 3");
    assert!(every.audit_check().await.unwrap().is_intact);
    fixture.database.execute("DELETE FROM audit WHERE tenant = '*' AND sequence = 1");
    assert_eq!(every.audit_check().await.unwrap().broken, Some(1));
}
