//! What can be wrong with the variables: each finding says what to do.

use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use super::table::{SETTINGS, Setting, Shape, name};
use super::{Role, Values, origin};

/// Names at most this far apart are taken for a slip of the fingers.
const SLIP_MAX: usize = 4;

/// Whether a variable is for us: by its prefix, or because the table has it.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with("CHATFLOW_") || SETTINGS.iter().any(|setting| setting.name == name)
}

/// All that is wrong.
pub(super) fn problems(values: &Values, role: Role) -> Vec<String> {
    let mut problems = unknown(values);
    for setting in SETTINGS {
        // `PORT` and the like may be meant for somebody else.
        let is_read = setting.name.starts_with("CHATFLOW_") || role.is_function();
        if is_read
            && let Some(value) = values.given(setting.name)
            && let Err(wrong) = fits(setting.shape, value)
        {
            // A secret's value is nobody's business, not even where it is wrong.
            let shown = if setting.secret { String::new() } else { format!("=`{value}`") };
            problems.push(format!("`{}`{shown} {wrong}", setting.name));
        }
    }
    let gcp = values.or_default(name::BACKEND) == "gcp";
    problems.extend(missing(values, role, gcp));
    if gcp {
        problems.extend(contradictions(values, role));
    } else {
        problems.extend(only_gcp(values, role));
    }
    problems
}

fn unknown(values: &Values) -> Vec<String> {
    values
        .0
        .keys()
        .filter(|name| !SETTINGS.iter().any(|setting| setting.name == **name))
        .map(|name| match nearest(name) {
            Some(near) => format!("`{name}` is no setting; did you mean `{near}`?"),
            None => format!("`{name}` is no setting; unset it (the README lists them all)"),
        })
        .collect()
}

fn nearest(name: &str) -> Option<&'static str> {
    SETTINGS
        .iter()
        .map(|setting| (strsim::damerau_levenshtein(name, setting.name), setting.name))
        .min()
        .filter(|(distance, _)| *distance <= SLIP_MAX)
        .map(|(_, near)| near)
}

fn missing(values: &Values, role: Role, gcp: bool) -> Vec<String> {
    let is_missing = |setting: &&Setting| {
        setting.is_required_of(role, gcp) && values.given(setting.name).is_none()
    };
    SETTINGS
        .iter()
        .filter(is_missing)
        .map(|setting| match setting.name {
            name::BACKEND => {
                format!("`{}` is not set; the function {role} needs `gcp`", setting.name)
            }
            _ => format!("`{}` is not set; it is {}", setting.name, setting.description),
        })
        .collect()
}

/// Settings of Google Cloud that the local backend would ignore in silence.
fn only_gcp(values: &Values, role: Role) -> Vec<String> {
    let mut problems = Vec::new();
    if role.is_function() && values.given(name::BACKEND).is_some() {
        let problem = format!("`{}` must be `gcp` for the function {role}", name::BACKEND);
        problems.push(problem);
    }
    let set: Vec<String> = SETTINGS
        .iter()
        .filter(|setting| setting.is_of_gcp() && values.given(setting.name).is_some())
        .map(|setting| format!("`{}`", setting.name))
        .collect();
    if !set.is_empty() && !role.is_function() {
        problems.push(format!(
            "{} mean nothing with the local backend; unset them, or set `{}=gcp`",
            set.join(", "),
            name::BACKEND
        ));
    }
    problems
}

fn contradictions(values: &Values, role: Role) -> Vec<String> {
    let mut problems = Vec::new();
    let audience = values.given(name::PUSH_AUDIENCE);
    let accounts = values.given(name::PUSH_ACCOUNTS);
    // Where both are required, the one that is missing is named already.
    if !role.is_pushed_to() && audience.is_some() != accounts.is_some() {
        problems.push(format!(
            "`{}` and `{}` belong together; set both or neither",
            name::PUSH_AUDIENCE,
            name::PUSH_ACCOUNTS
        ));
    }
    let bigquery = [name::BIGQUERY, name::BIGQUERY_STORAGE].map(|name| values.given(name));
    if bigquery[0].is_some() != bigquery[1].is_some() {
        problems.push(format!(
            "`{}` and `{}` are one emulator; set both or neither",
            name::BIGQUERY,
            name::BIGQUERY_STORAGE
        ));
    }
    if role == Role::Timekeeper
        && let (Some(audience), Some(accounts)) = (audience, accounts)
    {
        let url = values.given(name::TIMEKEEPER_URL).unwrap_or(audience);
        if origin(audience.to_owned()) != origin(url.to_owned()) {
            problems.push(format!(
                "`{}` and `{}` differ, so every alarm would be refused; for the timekeeper both \
                 are its own URL",
                name::PUSH_AUDIENCE,
                name::TIMEKEEPER_URL
            ));
        }
        let queue = values.given(name::TASKS_ACCOUNT);
        if queue.is_some_and(|queue| !emails(accounts).iter().any(|account| account == queue)) {
            problems.push(format!(
                "`{}` lacks the account of `{}`, so every alarm would be refused; add it",
                name::PUSH_ACCOUNTS,
                name::TASKS_ACCOUNT
            ));
        }
    }
    problems
}

/// Whether a value has its shape; else what is wrong, after the name and the value.
fn fits(shape: Shape, value: &str) -> Result<(), String> {
    let or = |fits: bool, wrong: &str| if fits { Ok(()) } else { Err(wrong.to_owned()) };
    match shape {
        Shape::Text | Shape::Path => Ok(()),
        Shape::Word(words) => {
            or(words.contains(&value), &format!("must be one of `{}`", words.join("`, `")))
        }
        Shape::Port => or(value.parse::<u16>().is_ok_and(|port| port > 0), "must be a port"),
        Shape::Days => or(
            value.parse::<u32>().is_ok_and(|days| (1..=36_500).contains(&days)),
            "must be a whole number of days, 1 to 36500",
        ),
        Shape::Count => or(
            value.parse::<u32>().is_ok_and(|count| (2..=1_000_000).contains(&count)),
            "must be a whole number, 2 to 1000000",
        ),
        Shape::LogFilter => EnvFilter::try_new(value)
            .map(|_| ())
            .map_err(|error| format!("is not a log filter such as `runtime=debug,warn`: {error}")),
        Shape::Name => {
            let fitting =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
            or(value.chars().all(fitting), "may have lowercase letters, digits and `-_.` only")
        }
        Shape::Origin => url(value).and_then(|url| bare(&url).and_then(|()| guarded(&url))),
        Shape::Url => url(value).and_then(|url| guarded(&url)),
        Shape::StandIn => url(value).and_then(|url| {
            bare(&url)?;
            let wrong = "must be `http://` on loopback, such as http://127.0.0.1:8085; unset it \
                         to use Google's own";
            or(url.scheme() == "http" && is_loopback(&url), wrong)
        }),
        Shape::Collector => url(value).map(|_| ()),
        Shape::Email => or(is_email(value), "must be an e-mail address"),
        Shape::Emails => {
            let all = emails(value);
            or(
                !all.is_empty() && all.iter().all(|one| is_email(one)),
                "must be e-mail addresses, \
                 separated by commas",
            )
        }
    }
}

fn url(value: &str) -> Result<Url, String> {
    let url = Url::parse(value).map_err(|error| format!("is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must begin with `https://` or `http://`".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    Ok(url)
}

fn bare(url: &Url) -> Result<(), String> {
    if url.path() == "/" && url.query().is_none() && url.fragment().is_none() {
        return Ok(());
    }
    Err("must end after the host and port".to_owned())
}

/// Over the network only with TLS.
fn guarded(url: &Url) -> Result<(), String> {
    if url.scheme() == "https" || is_loopback(url) {
        return Ok(());
    }
    Err("must begin with `https://`; `http://` is for loopback".to_owned())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn is_email(text: &str) -> bool {
    let whole = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    whole
        && text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
}

/// The addresses of a list.
pub(super) fn emails(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
}
