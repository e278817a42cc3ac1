variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the schedule is."
  type        = string
}

variable "name" {
  description = "The job's name."
  type        = string
}

variable "description" {
  description = "What it is for."
  type        = string
}

variable "schedule" {
  description = "When, in the form of cron, UTC."
  type        = string
}

variable "uri" {
  description = "What is called by POST."
  type        = string

  validation {
    condition     = startswith(var.uri, "https://")
    error_message = "Only https:// is called."
  }
}

variable "audience" {
  description = "The audience that the call's token names."
  type        = string
}

variable "caller" {
  description = "The e-mail address of the account in whose name the call is made."
  type        = string
}

variable "deadline_seconds" {
  description = "How long the call may take."
  type        = number
  default     = 60
}
