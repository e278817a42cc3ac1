//! "Did you mean": the known name nearest to one that is not known.

/// Longer names are not compared: the distance costs the product of the lengths.
const NAME_CHARS_MAX: usize = 64;

/// The candidate nearest to `name`, if one is near enough to be a slip of the finger.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = comparable(name)?;
    // A third of the letters may differ; a name of one or two letters resembles everything.
    let distance_max = wanted.chars().count() / 3;
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let known = comparable(candidate)?;
            let distance = strsim::damerau_levenshtein(&wanted, &known);
            (distance <= distance_max).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean «x»?` or, with nothing near, `otherwise`.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    nearest(name, candidates)
        .map_or_else(otherwise, |candidate| format!("did you mean `{candidate}`?"))
}

/// A name as it is shown in a message: at most 64 characters of it.
pub(crate) fn shown(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

fn comparable(name: &str) -> Option<String> {
    // 4 bytes a character at most, so that a huge name is refused without being read.
    let short = name.len() <= NAME_CHARS_MAX * 4 && name.chars().count() <= NAME_CHARS_MAX;
    short.then(|| name.to_lowercase())
}
