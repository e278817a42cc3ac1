output "alerts" {
  description = "Titles of the alerts."
  value       = sort(concat([for alert in google_monitoring_alert_policy.this : alert.display_name], [for alert in google_monitoring_alert_policy.told : alert.display_name], [google_monitoring_alert_policy.errors.display_name]))
}

output "messages" {
  description = "Lines of the functions' logs that are counted."
  value       = [for counted in local.counted : counted.message]
}
