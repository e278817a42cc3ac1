//! The same router on AWS Lambda, behind API Gateway, a function URL or a load balancer.

use axum::Router;

/// Serves Lambda's runtime API until Lambda ends the process. What is kept stays on Google Cloud.
pub(crate) async fn run(router: Router) -> anyhow::Result<()> {
    lambda_http::run(router)
        .await
        .map_err(|error| anyhow::anyhow!("the Lambda runtime API failed: {error}"))
}
