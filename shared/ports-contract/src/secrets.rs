//! `Secrets`: values by name.

use ports::Secret;

use crate::backend::Backend;

/// A secret is what was set last; a name that was never set has none.
pub async fn secrets_are_kept(backend: Backend) {
    let secrets = &backend.secrets;
    assert_eq!(secrets.secret("hr-token").await.unwrap(), None);
    let value = |text: &str| Secret::new(text);
    secrets.put_secret("hr-token", &value("first")).await.unwrap();
    assert_eq!(secrets.secret("hr-token").await.unwrap(), Some(value("first")));
    let second = value("秘密 \0 '\";\n🔑 whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    secrets.put_secret("hr-token", &second).await.unwrap();
    assert_eq!(secrets.secret("hr-token").await.unwrap(), Some(second));
    assert_eq!(secrets.secret("HR-TOKEN").await.unwrap(), None, "names are exact");
    assert_eq!(secrets.secret("hr").await.unwrap(), None);
    secrets.put_secret("empty", &value("")).await.unwrap();
    assert_eq!(secrets.secret("empty").await.unwrap(), Some(value("")));
}

/// "The names, in order; never the values."
pub async fn secret_names_are_listed(backend: Backend) {
    let secrets = &backend.secrets;
    assert_eq!(secrets.secret_names().await.unwrap(), Vec::<String>::new());
    for name in ["hook", "api", "line", "hook"] {
        secrets.put_secret(name, &Secret::new(format!("value of {name}"))).await.unwrap();
    }
    assert_eq!(secrets.secret_names().await.unwrap(), ["api", "hook", "line"]);
}

/// A secret does not show where somebody prints it.
pub async fn secrets_do_not_show(backend: Backend) {
    backend.secrets.put_secret("hook", &Secret::new("hunter2")).await.unwrap();
    let secret = backend.secrets.secret("hook").await.unwrap();
    assert_eq!(format!("{secret:?}"), "Some(Secret(…))");
    assert_eq!(secret.unwrap().expose(), "hunter2");
}
