output "call" {
  description = "What is called, and in whose name."
  value = {
    uri             = google_cloud_scheduler_job.this.http_target[0].uri
    audience        = google_cloud_scheduler_job.this.http_target[0].oidc_token[0].audience
    service_account = google_cloud_scheduler_job.this.http_target[0].oidc_token[0].service_account_email
  }
}
