output "name" {
  description = "The service's name."
  value       = google_cloud_run_v2_service.this.name
}

output "uri" {
  description = "The URL that Cloud Run answers at."
  value       = google_cloud_run_v2_service.this.uri
}

output "service_account" {
  description = "The e-mail address of the account that it runs as."
  value       = google_service_account.this.email
}

output "member" {
  description = "The same as an IAM member."
  value       = google_service_account.this.member
}

output "environment" {
  description = "Names of its environment variables."
  value       = sort(concat(keys(var.environment), keys(var.secret_environment)))
}

output "invokers" {
  description = "Who may call it."
  value       = toset(flatten(google_cloud_run_v2_service_iam_binding.invokers[*].members))
}

output "public" {
  description = "Whether everybody may call it."
  value       = google_cloud_run_v2_service.this.invoker_iam_disabled
}

output "environment_values" {
  description = "Its environment variables, without those from Secret Manager."
  value       = var.environment
}

output "ingress" {
  description = "From where it can be reached, as Cloud Run names it."
  value       = google_cloud_run_v2_service.this.ingress
}

output "deletion_protection" {
  description = "Whether Terraform refuses to destroy it."
  value       = google_cloud_run_v2_service.this.deletion_protection
}

output "encryption_key" {
  description = "The key that encrypts it."
  value       = google_cloud_run_v2_service.this.template[0].encryption_key
}

output "instances" {
  description = "How many instances there may be, at least and at most."
  value       = [google_cloud_run_v2_service.this.template[0].scaling[0].min_instance_count, google_cloud_run_v2_service.this.template[0].scaling[0].max_instance_count]
}
