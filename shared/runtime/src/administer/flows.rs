//! Flows: drafts, checks, tests, versions.

use engine::simulate::{self, TestReport};
use flow::check::{check, is_publishable};
use flow::{Flow, Problem};
use ports::{Draft, FlowVersion, PortError};

use super::surroundings::Snapshot;
use crate::app::App;
use crate::outcome::HandleError;
use crate::schedules;

/// Most problems that are told; a broken document of many lines has one for each.
const PROBLEMS_MAX: usize = 500;

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The flow, where the text is one.
    pub flow: Option<Flow>,
    /// Every problem, errors first.
    pub problems: Vec<Problem>,
}

impl Checked {
    /// Whether it may be published.
    pub fn is_publishable(&self) -> bool {
        self.flow.is_some() && is_publishable(&self.problems)
    }
}

/// Checks the text of a flow against everything it names. `id` is the flow it stands for.
pub async fn check_source(app: &App, id: &str, source: &str) -> Result<Checked, HandleError> {
    let parsed = match flow::parse(source) {
        Ok(parsed) => parsed,
        Err(problems) => return Ok(Checked { flow: None, problems: told(problems) }),
    };
    let around = Snapshot::take(app, id).await?;
    let mut problems = check(&parsed.flow, &around);
    if parsed.flow.id != id {
        problems.insert(
            0,
            Problem::error("/flow", format!("this is flow `{}`, not `{id}`", parsed.flow.id))
                .fix(format!("write `flow: {id}`, or send it to /v1/flows/{}", parsed.flow.id)),
        );
    }
    let problems = problems.into_iter().map(|problem| parsed.positions.locate(problem)).collect();
    Ok(Checked { flow: Some(parsed.flow), problems: told(problems) })
}

/// The problems, errors first where they are too many to tell all.
fn told(mut problems: Vec<Problem>) -> Vec<Problem> {
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    if more > 0 {
        problems.sort_by_key(|problem| problem.severity);
        problems.truncate(PROBLEMS_MAX);
        problems.push(Problem::error("", format!("{more} more problems are not shown")));
    }
    problems
}

/// Writes a draft; it may have problems, but it must be a flow document's text. `expected` is the
/// revision the caller saw (0: there was none).
pub async fn put_draft(
    app: &App,
    id: &str,
    source: &str,
    expected: Option<u64>,
    by: &str,
) -> Result<(Draft, Checked), HandleError> {
    if !flow::check::is_flow_id(id) {
        return Err(HandleError::unprocessable(
            "/flow",
            format!("`{id}` is not a flow id: use a letter, then letters, digits and -, 2 to 63"),
        ));
    }
    if source.len() > flow::yaml::DOCUMENT_BYTES_MAX {
        let limit = flow::yaml::DOCUMENT_BYTES_MAX;
        return Err(PortError::TooLarge { what: "the flow".into(), limit }.into());
    }
    let stored = app.store().draft(id).await?.map_or(0, |draft| draft.revision);
    if expected.is_some_and(|expected| expected != stored) {
        return Err(PortError::Conflict { what: format!("the draft of `{id}`") }.into());
    }
    let checked = check_source(app, id, source).await?;
    let draft = Draft {
        flow: id.to_owned(),
        source: source.to_owned(),
        revision: stored.saturating_add(1),
        updated_at: app.now(),
        updated_by: by.to_owned(),
    };
    app.store().put_draft(&draft).await?;
    Ok((draft, checked))
}

/// The draft, or an error that names it.
pub async fn draft(app: &App, id: &str) -> Result<Draft, HandleError> {
    let found = app.store().draft(id).await?;
    found.ok_or_else(|| HandleError::NotFound(format!("draft of flow `{id}`")))
}

/// What publishing came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    /// It is live.
    Live(Box<FlowVersion>, Vec<TestReport>),
    /// It has problems.
    Problems(Vec<Problem>),
    /// Its own tests fail.
    TestsFail(Vec<TestReport>),
}

/// Publishes the draft: checks it, runs its tests, makes a version and points the triggers at it.
pub async fn publish(app: &App, id: &str, by: &str) -> Result<Published, HandleError> {
    let draft = draft(app, id).await?;
    let checked = check_source(app, id, &draft.source).await?;
    let publishable = checked.is_publishable();
    let Some(flow) = checked.flow.filter(|_| publishable) else {
        return Ok(Published::Problems(checked.problems));
    };
    let reports = simulate::run_tests(&flow);
    if reports.iter().any(|report| !report.passed) {
        return Ok(Published::TestsFail(reports));
    }
    let version = add_version(app, flow, draft.source, by, None).await?;
    Ok(Published::Live(Box::new(version), reports))
}

/// Publishes an old version again, as a new one.
pub async fn rollback(
    app: &App,
    id: &str,
    version: u32,
    by: &str,
) -> Result<FlowVersion, HandleError> {
    let Some(old) = app.store().version(id, version).await? else {
        return Err(HandleError::NotFound(format!("version {version} of flow `{id}`")));
    };
    add_version(app, old.document, old.source, by, Some(version)).await
}

async fn add_version(
    app: &App,
    flow: Flow,
    source: String,
    by: &str,
    rollback_of: Option<u32>,
) -> Result<FlowVersion, HandleError> {
    let latest = app.store().versions(&flow.id).await?.first().map_or(0, |latest| latest.version);
    let version = FlowVersion {
        document: flow,
        source,
        version: latest.saturating_add(1),
        published_at: app.now(),
        published_by: by.to_owned(),
        rollback_of,
    };
    app.store().publish(&version).await?;
    app.forget_catalog().await;
    schedules::arm(app, &version).await?;
    Ok(version)
}
