//! Attachments.

use serde_json::{Value, json};

use super::{Attachment, Rejection};

/// The first attachment that fits. What the channel does not tell is taken from the file name
/// (type) or let through (size): the download is bounded anyway.
pub(super) fn parse(
    attachments: &[Attachment],
    types: &[String],
    max_bytes: Option<u64>,
) -> Result<Value, Rejection> {
    if attachments.is_empty() {
        return Err(Rejection::NoFile);
    }
    let mut of_type = attachments.iter().filter(|file| has_type(file, types)).peekable();
    if of_type.peek().is_none() {
        return Err(Rejection::FileType { types: types.join(", ") });
    }
    let limit = max_bytes.unwrap_or(u64::MAX);
    let file = of_type
        .find(|file| file.bytes.is_none_or(|bytes| bytes <= limit))
        .ok_or(Rejection::FileTooLarge { max_bytes: limit })?;
    Ok(json!({"url": file.url, "name": file.name, "mime": file.mime, "bytes": file.bytes}))
}

fn has_type(file: &Attachment, types: &[String]) -> bool {
    if types.is_empty() {
        return true;
    }
    let told = file.mime.as_deref().map(|mime| mime.trim().to_ascii_lowercase());
    let Some(mime) = told.or_else(|| file.name.as_deref().and_then(type_of_name)) else {
        return types.iter().any(|accepted| prefix(accepted).is_empty());
    };
    types.iter().any(|accepted| mime.starts_with(&prefix(accepted)))
}

/// `image/*` and `*/*` as the prefixes they mean.
fn prefix(accepted: &str) -> String {
    accepted.trim().trim_end_matches("*/*").trim_end_matches('*').to_ascii_lowercase()
}

fn type_of_name(name: &str) -> Option<String> {
    let (_, extension) = name.rsplit_once('.')?;
    let mime = match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "zip" => "application/zip",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => return None,
    };
    Some(mime.to_owned())
}
