-- Kkobot: no processes and no schedule log, pings that name a room, and columns that nobody else fills in.

CREATE TABLE `kb_bot_devices` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `bot_name` varchar(30) NOT NULL,
  `device_id` varchar(100) NOT NULL,
  `ip_address` varchar(45) DEFAULT NULL,
  `client_type` varchar(50) DEFAULT NULL,
  `client_version` varchar(20) DEFAULT NULL,
  `status` enum('pending','approved','denied','revoked','blocked') NOT NULL DEFAULT 'pending',
  `approved_at` datetime DEFAULT NULL,
  `rejection_reason` text DEFAULT NULL,
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `updated_at` datetime DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uk_device_id` (`device_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_rooms` (
  `room_id` varchar(100) NOT NULL,
  `room_name` varchar(255) NOT NULL,
  `bot_name` varchar(30) NOT NULL,
  `room_concurrency` int(11) DEFAULT 1,
  `room_owners` longtext DEFAULT NULL,
  `log_settings` longtext DEFAULT NULL,
  `status` enum('pending','approved','denied','revoked','blocked') NOT NULL DEFAULT 'pending',
  `created_at` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `updated_at` timestamp NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`room_id`,`bot_name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_chat_logs` (
  `id` int(11) unsigned NOT NULL AUTO_INCREMENT,
  `channel_id` varchar(50) DEFAULT NULL,
  `user_hash` varchar(100) DEFAULT NULL,
  `room_name` varchar(255) DEFAULT NULL,
  `sender` varchar(100) DEFAULT NULL,
  `message` text DEFAULT NULL,
  `directive` varchar(30) DEFAULT NULL,
  `message_type` varchar(20) NOT NULL DEFAULT 'normal',
  `is_meaningful` tinyint(1) NOT NULL DEFAULT 0,
  `bot_name` varchar(30) DEFAULT NULL,
  `is_mention` tinyint(1) NOT NULL DEFAULT 0,
  `is_group_chat` tinyint(1) NOT NULL DEFAULT 0,
  `log_id` varchar(50) DEFAULT NULL,
  `client_timestamp` datetime DEFAULT NULL,
  `server_timestamp` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `is_bot` tinyint(1) NOT NULL DEFAULT 0,
  `is_our_bot_response` tinyint(1) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  KEY `idx_channel` (`channel_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_ping_monitor` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `bot_name` varchar(30) NOT NULL,
  `channel_id` varchar(50) NOT NULL,
  `room_name` varchar(255) DEFAULT NULL,
  `user_hash` varchar(100) DEFAULT NULL,
  `client_timestamp` datetime(3) DEFAULT NULL,
  `server_timestamp` datetime(3) DEFAULT NULL,
  `rtt_ms` int(11) DEFAULT NULL,
  `client_status` json DEFAULT NULL,
  `server_status` json DEFAULT NULL,
  `is_manual` tinyint(1) NOT NULL DEFAULT 0,
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_system_monitor` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `server_name` varchar(50) NOT NULL,
  `cpu_percent` float DEFAULT NULL,
  `memory_total` bigint(20) DEFAULT NULL,
  `memory_used` bigint(20) DEFAULT NULL,
  `memory_percent` float DEFAULT NULL,
  `disk_usage_percent` float DEFAULT NULL,
  `active_connections` int(11) DEFAULT NULL,
  `message_queue_size` int(11) DEFAULT NULL,
  `created_at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `kb_schedule` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `title` varchar(255) NOT NULL,
  `created_by_type` enum('distributor','agency','branch') NOT NULL DEFAULT 'branch',
  `created_by_id` varchar(50) NOT NULL DEFAULT '',
  `created_by_mb_id` varchar(50) NOT NULL DEFAULT '',
  `target_bot_name` varchar(30) NOT NULL,
  `target_room_id` varchar(100) NOT NULL,
  `message_text` text DEFAULT NULL,
  `message_images_1` json DEFAULT NULL,
  `message_images_2` json DEFAULT NULL,
  `image_storage_mode` enum('file','base64') NOT NULL DEFAULT 'file',
  `send_interval_seconds` int(5) DEFAULT 1,
  `media_wait_time_1` int(5) DEFAULT 0,
  `media_wait_time_2` int(5) DEFAULT 0,
  `schedule_type` enum('once','weekly','daily') NOT NULL,
  `schedule_date` date DEFAULT NULL,
  `schedule_time` time NOT NULL,
  `schedule_times` json DEFAULT NULL,
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

