//! Names of expressions for messages.

use minijinja::machinery::ast::Expr;

/// A variable or field as it was written, for messages; empty for anything longer.
pub(super) fn label(expr: &Expr<'_>) -> String {
    const LABEL_CHARS_MAX: usize = 80;
    let label = path(expr, 8).unwrap_or_default();
    if label.chars().count() > LABEL_CHARS_MAX { String::new() } else { label }
}

fn path(expr: &Expr<'_>, parts_left: usize) -> Option<String> {
    let parts_left = parts_left.checked_sub(1)?;
    match expr {
        Expr::Var(var) => Some(var.id.to_owned()),
        Expr::GetAttr(get) => Some(format!("{}.{}", path(&get.expr, parts_left)?, get.name)),
        Expr::GetItem(get) => match &get.subscript_expr {
            Expr::Const(key) => {
                let key = match key.value.as_str() {
                    Some(text) => format!("'{text}'"),
                    None => key.value.to_string(),
                };
                Some(format!("{}[{key}]", path(&get.expr, parts_left)?))
            }
            _ => None,
        },
        _ => None,
    }
}
