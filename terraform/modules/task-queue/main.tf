# The alarm clock: a task of this queue calls the timekeeper when a timer is due.

resource "google_cloud_tasks_queue" "this" {
  project  = var.project
  location = var.region
  name     = var.name

  rate_limits {
    max_dispatches_per_second = var.per_second
    max_concurrent_dispatches = var.at_once
  }

  # An alarm that is given up is found by the sweep, so there is no need to try for ever.
  retry_config {
    max_attempts       = 100
    max_retry_duration = "86400s"
    min_backoff        = "1s"
    max_backoff        = "300s"
    max_doublings      = 8
  }

  stackdriver_logging_config {
    sampling_ratio = 0.01
  }
}

resource "google_cloud_tasks_queue_iam_binding" "enqueuers" {
  project  = var.project
  location = var.region
  name     = google_cloud_tasks_queue.this.name
  role     = "roles/cloudtasks.enqueuer"
  members  = var.enqueuers
}

# A task that calls in an account's name can be made only by who may act as that account.
resource "google_service_account_iam_binding" "act_as_caller" {
  service_account_id = var.caller
  role               = "roles/iam.serviceAccountUser"
  members            = var.enqueuers
}
