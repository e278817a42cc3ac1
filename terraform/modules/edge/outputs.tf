output "address" {
  description = "What the domain's A record must name."
  value       = google_compute_global_address.this.address
}

output "url" {
  description = "The address of everything."
  value       = "https://${var.domain}"
}

output "open_paths" {
  description = "Paths that need no sign-in."
  value       = toset(flatten([for matcher in google_compute_url_map.this.path_matcher : [for rule in matcher.path_rule : rule.paths]]))
}

output "signed_in" {
  description = "Whether Identity-Aware Proxy stands before each backend."
  value       = { for name, backend in google_compute_backend_service.this : name => backend.iap[0].enabled }
}

output "admins" {
  description = "Who comes through Identity-Aware Proxy."
  value       = toset(google_iap_web_backend_service_iam_binding.admins.members)
}
