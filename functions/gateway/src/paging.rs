//! Pages of lists.

use ports::Page;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;

/// Most tasks of a page.
pub const TASKS_MAX: usize = 200;
/// Most messages of a page.
pub const MESSAGES_MAX: usize = 1_000;
/// Items of a page where nothing is said.
const DEFAULT: usize = 50;

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// Most items; 50 where left out.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// The page asked for; 422 where the limit is out of range.
pub fn page(limit: Option<usize>, cursor: Option<String>, most: usize) -> Result<Page, Problem> {
    let limit = limit.unwrap_or(DEFAULT.min(most));
    if limit == 0 || limit > most {
        return Err(Problem::field("", format!("`limit` is 1 to {most}")));
    }
    Ok(Page { limit, cursor })
}
