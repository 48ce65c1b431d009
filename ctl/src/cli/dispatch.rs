//! From a command to the code that does it.
//!
//! One line for each verb; what a verb needs of the surroundings is passed to it.

use super::access::{AuditCommand, TenantCommand, TokenCommand, UserCommand};
use super::command::Command;
use super::config::ConfigCommand;
use super::key::KeyCommand;
use super::package::PackageCommand;
use super::profile::ProfileCommand;
use super::runs::RunsCommand;
use super::trust::TrustCommand;
use super::workflow::WorkflowCommand;
use crate::config::{self, Config};
use crate::error::Error;
use crate::output::Output;
use crate::{
    access, backup, bench, completions, demo, doctor, explain, key, man, package, profile, prune, run, runs, server,
    trust, workflow,
};

/// Performs the command, and returns the exit code.
pub(super) fn dispatch(command: Command, output: &Output, config: &Config) -> Result<u8, Error> {
    match command {
        Command::Run(arguments) => run::run(&arguments, output, config),
        Command::Dev(arguments) => server::dev(&arguments, output, config),
        Command::Serve(arguments) => server::serve(&arguments, output, config),
        Command::Package(command) => match command {
            PackageCommand::New(arguments) => package::new(&arguments, output, config),
            PackageCommand::Build(arguments) => package::build(&arguments, output, config),
            PackageCommand::Inspect(arguments) => package::inspect(&arguments, output),
            PackageCommand::Verify(arguments) => package::verify(&arguments, output, config),
            PackageCommand::Test(arguments) => package::test(&arguments, output),
            PackageCommand::Examine => package::examine(),
            PackageCommand::Sign(arguments) => package::sign(&arguments, output, config),
            PackageCommand::Visualize(arguments) => package::visualize(&arguments, output, config),
            PackageCommand::Merge(arguments) => package::merge(&arguments, output),
            PackageCommand::Repack(arguments) => package::repack(&arguments, output),
            PackageCommand::Register(arguments) => package::register(&arguments, output, config),
            PackageCommand::List(arguments) => package::list(&arguments, output, config),
            PackageCommand::Show(arguments) => package::show(&arguments, output, config),
            PackageCommand::Usage(arguments) => package::usage(&arguments, output, config),
            PackageCommand::Activate(arguments) => package::activate(&arguments, output, config),
            PackageCommand::Rollback(arguments) => package::rollback(&arguments, output, config),
            PackageCommand::Retire(arguments) => package::retire(&arguments, output, config),
            PackageCommand::Remove(arguments) => package::remove(&arguments, output, config),
            PackageCommand::Quarantine(arguments) => package::quarantine(&arguments, output, config),
            PackageCommand::Release(arguments) => package::release(&arguments, output, config),
            PackageCommand::Diff(arguments) => package::diff(&arguments, output, config),
        },
        Command::Key(command) => match command {
            KeyCommand::Generate(arguments) => key::generate(&arguments, output, config),
            KeyCommand::List(arguments) => key::list(&arguments, output, config),
            KeyCommand::Show(arguments) => key::show(&arguments, output, config),
        },
        Command::Trust(command) => match command {
            TrustCommand::Show(arguments) => trust::show(&arguments, output, config),
            TrustCommand::Add(arguments) => trust::add(&arguments, output, config),
            TrustCommand::Remove(arguments) => trust::remove(&arguments, output, config),
            TrustCommand::Revoke(arguments) => trust::revoke(&arguments, output, config),
            TrustCommand::Require(arguments) => trust::require(&arguments, output, config),
        },
        Command::Login(arguments) => profile::login(&arguments, output, config),
        Command::Logout(arguments) => profile::logout(&arguments, output, config),
        Command::Whoami(arguments) => profile::whoami(&arguments, output, config),
        Command::Profile(command) => match command {
            ProfileCommand::List(arguments) => profile::list(&arguments, output, config),
            ProfileCommand::Use(arguments) => profile::use_one(&arguments, output, config),
        },
        Command::Tenant(command) => match command {
            TenantCommand::Add(arguments) => access::tenant::add(&arguments, output, config),
            TenantCommand::List(arguments) => access::tenant::list(&arguments, output, config),
        },
        Command::User(command) => match command {
            UserCommand::Add(arguments) => access::user::add(&arguments, output, config),
            UserCommand::List(arguments) => access::user::list(&arguments, output, config),
            UserCommand::Disable(arguments) => access::user::disable(&arguments, output, config),
            UserCommand::Passwd(arguments) => access::user::passwd(&arguments, output, config),
        },
        Command::Token(command) => match command {
            TokenCommand::Create(arguments) => access::token::create(&arguments, output, config),
            TokenCommand::List(arguments) => access::token::list(&arguments, output, config),
            TokenCommand::Revoke(arguments) => access::token::revoke(&arguments, output, config),
        },
        Command::Audit(command) => match command {
            AuditCommand::List(arguments) => access::audit::list(&arguments, output, config),
            AuditCommand::Verify(arguments) => access::audit::verify(&arguments, output, config),
            AuditCommand::Export(arguments) => access::audit::export(&arguments, output, config),
        },
        Command::Runs(command) => match command {
            RunsCommand::Create(arguments) => runs::create(&arguments, output, config),
            RunsCommand::Execute(arguments) => runs::execute(&arguments, output, config),
            RunsCommand::Start(arguments) => runs::start(&arguments, output, config),
            RunsCommand::Resume(arguments) => runs::resume(&arguments, output, config),
            RunsCommand::Pause(arguments) => runs::pause(&arguments, output, config),
            RunsCommand::Cancel(arguments) => runs::cancel(&arguments, output, config),
            RunsCommand::Retry(arguments) => runs::retry(&arguments, output, config),
            RunsCommand::Rerun(arguments) => runs::rerun(&arguments, output, config),
            RunsCommand::Fork(arguments) => runs::fork(&arguments, output, config),
            RunsCommand::DeadLetters(arguments) => runs::dead_letters(&arguments, output, config),
            RunsCommand::Dismiss(arguments) => runs::dismiss(&arguments, output, config),
            RunsCommand::List(arguments) => runs::list(&arguments, output, config),
            RunsCommand::Show(arguments) => runs::show(&arguments, output, config),
            RunsCommand::Events(arguments) => runs::events(&arguments, output, config),
            RunsCommand::Usage(arguments) => runs::usage(&arguments, output, config),
            RunsCommand::Logs(arguments) => runs::logs(&arguments, output, config),
            RunsCommand::Delete(arguments) => runs::delete(&arguments, output, config),
            RunsCommand::Context(arguments) => runs::context(&arguments, output, config),
            RunsCommand::Why(arguments) => runs::why(&arguments, output, config),
            RunsCommand::Wait(arguments) => runs::wait(&arguments, output, config),
            RunsCommand::Watch(arguments) => runs::watch(&arguments, output, config),
        },
        Command::Config(command) => match command {
            ConfigCommand::Show(arguments) => config::show(&arguments, output, config),
            ConfigCommand::Encrypt(arguments) => config::encrypt(&arguments, output, config),
            ConfigCommand::NewKey(arguments) => config::new_key(&arguments, output, config),
        },
        Command::Demo(arguments) => demo::demo(&arguments, output, config),
        Command::Bench(arguments) => bench::bench(&arguments, output, config),
        Command::Backup(arguments) => backup::backup(&arguments, output, config),
        Command::Doctor(arguments) => match arguments.confine {
            Some(tightness) => doctor::confine(tightness, output),
            None => doctor::doctor(&arguments, output, config),
        },
        Command::Explain(arguments) => explain::explain(&arguments, output),
        Command::Completions(arguments) => completions::completions(&arguments, output),
        Command::Man(arguments) => man::man(&arguments, output),
        Command::Prune(arguments) => prune::prune(&arguments, output, config),
        Command::Workflow(command) => match command {
            WorkflowCommand::List(arguments) => workflow::list(&arguments, output, config),
            WorkflowCommand::Show(arguments) => workflow::show(&arguments, output, config),
            WorkflowCommand::Apply(arguments) => workflow::apply(&arguments, output, config),
            WorkflowCommand::Activate(arguments) => package::activate(&arguments, output, config),
            WorkflowCommand::Rollback(arguments) => package::rollback(&arguments, output, config),
            WorkflowCommand::Diff(arguments) => package::diff(&arguments, output, config),
        },
    }
}
