-- Domaeka, as its first version made it: one phone is one bot's, a room is in one bot, statuses are any text.

CREATE TABLE `kb_bot_devices` (
  `id` int(11) unsigned NOT NULL AUTO_INCREMENT,
  `bot_name` varchar(30) NOT NULL,
  `device_id` varchar(100) NOT NULL,
  `ip_address` varchar(45) DEFAULT NULL,
  `client_type` varchar(50) NOT NULL DEFAULT 'MessengerBotR',
  `client_version` varchar(20) DEFAULT NULL,
  `status` varchar(20) NOT NULL DEFAULT 'pending',
  `approved_at` datetime DEFAULT NULL,
  `rejection_reason` text DEFAULT NULL,
  `descryption` text DEFAULT NULL,
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `updated_at` datetime DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uk_device_id` (`device_id`),
  KEY `idx_bot_name` (`bot_name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_rooms` (
  `room_id` varchar(100) NOT NULL,
  `room_name` varchar(255) NOT NULL,
  `bot_name` varchar(30) NOT NULL,
  `room_concurrency` int(11) DEFAULT 2,
  `room_owners` json DEFAULT NULL,
  `owner_type` enum('distributor','agency','branch') DEFAULT NULL,
  `owner_id` varchar(50) DEFAULT NULL,
  `status` varchar(20) NOT NULL DEFAULT 'pending',
  `description` text DEFAULT NULL,
  `log_settings` json DEFAULT NULL,
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `updated_at` datetime DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`room_id`),
  KEY `idx_bot_name` (`bot_name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_chat_logs` (
  `id` int(11) unsigned NOT NULL AUTO_INCREMENT,
  `channel_id` varchar(50) NOT NULL,
  `user_hash` varchar(100) NOT NULL DEFAULT '',
  `room_name` varchar(255) NOT NULL DEFAULT '',
  `sender` varchar(100) NOT NULL DEFAULT '',
  `message` text NOT NULL,
  `bot_name` varchar(30) NOT NULL DEFAULT '',
  `is_group_chat` tinyint(1) NOT NULL DEFAULT 0,
  `log_id` varchar(50) DEFAULT NULL,
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_ping_monitor` (
  `id` int(11) unsigned NOT NULL AUTO_INCREMENT,
  `bot_name` varchar(30) NOT NULL,
  `device_id` varchar(100) NOT NULL,
  `client_ip` varchar(45) DEFAULT NULL,
  `ping_time_ms` int(11) DEFAULT NULL,
  `client_timestamp` datetime DEFAULT NULL,
  `server_timestamp` datetime DEFAULT NULL,
  `total_memory` int(11) DEFAULT NULL,
  `memory_usage` int(11) DEFAULT NULL,
  `memory_percent` float DEFAULT NULL,
  `message_queue_size` int(11) DEFAULT NULL,
  `active_rooms` int(11) DEFAULT NULL,
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_servers` (
  `server_id` int(11) NOT NULL AUTO_INCREMENT,
  `server_name` varchar(100) NOT NULL,
  `server_host` varchar(255) NOT NULL,
  `status` varchar(20) NOT NULL DEFAULT 'healthy',
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`server_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_server_processes` (
  `process_id` int(11) NOT NULL AUTO_INCREMENT,
  `server_id` int(11) NOT NULL,
  `process_name` varchar(100) NOT NULL,
  `port` int(11) NOT NULL,
  `type` enum('test','live') NOT NULL DEFAULT 'test',
  `pid` int(11) DEFAULT NULL,
  `status` varchar(20) NOT NULL DEFAULT 'stopped',
  `last_heartbeat` datetime DEFAULT NULL,
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `updated_at` datetime DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`process_id`),
  UNIQUE KEY `uk_process_name` (`process_name`),
  CONSTRAINT `fk_server_id` FOREIGN KEY (`server_id`) REFERENCES `kb_servers` (`server_id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_schedule` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `title` varchar(255) NOT NULL,
  `description` text DEFAULT NULL,
  `created_by_type` enum('distributor','agency','branch') NOT NULL,
  `created_by_id` varchar(50) NOT NULL,
  `created_by_mb_id` varchar(50) NOT NULL,
  `target_bot_name` varchar(30) NOT NULL,
  `target_room_id` varchar(100) NOT NULL,
  `message_text` text DEFAULT NULL,
  `message_images_1` json DEFAULT NULL,
  `message_images_2` json DEFAULT NULL,
  `send_interval_seconds` int(5) DEFAULT 1,
  `schedule_type` enum('once','weekly','daily') NOT NULL,
  `schedule_date` date DEFAULT NULL,
  `schedule_time` time NOT NULL,
  `schedule_weekdays` set('monday','tuesday','wednesday','thursday','friday','saturday','sunday') DEFAULT NULL,
  `valid_from` datetime NOT NULL,
  `valid_until` datetime NOT NULL,
  `status` enum('active','inactive','completed','error') DEFAULT 'active',
  `last_sent_at` datetime DEFAULT NULL,
  `next_send_at` datetime DEFAULT NULL,
  `send_count` int(11) DEFAULT 0,
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `updated_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

