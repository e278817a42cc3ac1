output "webhooks" {
  description = "What channels are told to call: a connection's name follows."
  value       = module.chatflow.webhooks
}

output "admin" {
  description = "The API and the admin page."
  value       = module.chatflow.admin
}

output "settings" {
  description = "Settings of `chatflow setup` and `chatflow doctor`, as lines of a shell."
  value       = join("\n", [for name, value in module.chatflow.settings : "export ${name}=${value}"])
}

output "address" {
  description = "What the domain's A record must name."
  value       = module.chatflow.address
}

output "protection" {
  description = "What stands between the system and its destruction."
  value       = module.chatflow.protection
}

output "functions" {
  description = "Each function: what wakes it, who may call it and from where, and its settings."
  value       = module.chatflow.functions
}

output "instances" {
  description = "Instances of each function, at least and at most."
  value       = module.chatflow.instances
}
