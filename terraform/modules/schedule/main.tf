# Calls a function again and again, with a token.

resource "google_cloud_scheduler_job" "this" {
  project          = var.project
  region           = var.region
  name             = var.name
  description      = var.description
  schedule         = var.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${var.deadline_seconds}s"

  # The next minute comes anyway.
  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = var.uri

    oidc_token {
      service_account_email = var.caller
      audience              = var.audience
    }
  }
}
