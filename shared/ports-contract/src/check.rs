//! Assertions that say what came instead.

/// The result is an error of this shape.
macro_rules! assert_error {
    ($result:expr, $($shape:pat_param)|+) => {
        match $result {
            Err($($shape)|+) => {}
            other => panic!(
                "expected {}, got {other:?}",
                stringify!($($shape)|+).replace("{ .. }", "")
            ),
        }
    };
}

pub(crate) use assert_error;

/// The same things, whatever their order.
pub(crate) fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items
}
