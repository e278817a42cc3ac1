output "name" {
  description = "The queue's name."
  value       = google_cloud_tasks_queue.this.name
}

output "enqueuers" {
  description = "Who may set alarms."
  value       = toset(google_cloud_tasks_queue_iam_binding.enqueuers.members)
}
