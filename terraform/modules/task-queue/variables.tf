variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the queue is."
  type        = string
}

variable "name" {
  description = "The queue's name. That of a deleted queue cannot be used again for three days."
  type        = string
}

variable "enqueuers" {
  description = "Who alone may set alarms, as IAM members."
  type        = list(string)
}

variable "caller" {
  description = "The service account in whose name the queue calls: its resource name, `projects/…/serviceAccounts/…`."
  type        = string
}

variable "per_second" {
  description = "Calls that begin in a second, at most."
  type        = number
  default     = 500
}

variable "at_once" {
  description = "Calls at the same time, at most."
  type        = number
  default     = 100
}
