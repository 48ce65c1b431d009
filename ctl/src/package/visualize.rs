//! `package visualize`: the graphs of a package's workflows as text, in Graphviz's language, or as a picture.

use std::path::PathBuf;

use cloacina_packager::{Graph, draw};
use cloacina_workflow::descriptor::Workflow;
use serde::Serialize;
use utoipa::ToSchema;

use super::place;
use super::source::Source;
use crate::cli::{DrawFormat, VisualizeArgs};
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// The graphs of a package's workflows, drawn.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Drawn {
    /// The name of the package.
    package: String,
    /// The drawings, in the order of the workflows.
    drawings: Vec<Drawing>,
    /// The file into which they were written. Absent without `--to`.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

impl Document for Drawn {}

/// The graph of a workflow.
#[derive(Debug, Serialize, ToSchema)]
struct Drawing {
    /// The name of the workflow.
    workflow: String,
    /// The drawing, in the requested format.
    drawing: String,
}

/// Draws the workflows of a package.
pub(crate) fn visualize(arguments: &VisualizeArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let source = Source::open(&arguments.path, &arguments.cargo, output, config)?;
    let workflows: Vec<&Workflow> = match &arguments.workflow {
        Some(name) => vec![source.workflow(Some(name))?],
        // Pictures cannot be put one behind the other.
        None if arguments.format == DrawFormat::Svg => vec![source.workflow(None)?],
        None => source.package.descriptor().workflows.iter().collect(),
    };
    let drawings = workflows.into_iter().map(|workflow| drawing(workflow, arguments.format));
    let drawings = drawings.collect::<Result<Vec<_>, Error>>()?;
    let texts: Vec<&str> = drawings.iter().map(|drawing| drawing.drawing.as_str()).collect();
    let text = texts.join("\n");
    if let Some(file) = &arguments.to {
        place::write(file, text.as_bytes())?;
    }
    let package = source.package.manifest().package.name.clone();
    let drawn = Drawn { package, drawings, file: arguments.to.clone() };
    output.answer(&drawn, |paint| match &arguments.to {
        Some(file) => format!("{} {}\n", paint.green("drawn"), file.display()),
        None => text,
    })?;
    Ok(exit::SUCCESS)
}

fn drawing(workflow: &Workflow, format: DrawFormat) -> Result<Drawing, Error> {
    let graph = Graph::new(workflow).map_err(|mistakes| cloacina_packager::Error::Mistakes { mistakes })?;
    let drawing = match format {
        DrawFormat::Ascii => draw::ascii(&graph),
        DrawFormat::Dot => draw::dot(&graph),
        DrawFormat::Svg => draw::svg(&graph),
    };
    Ok(Drawing { workflow: workflow.name.clone(), drawing })
}
