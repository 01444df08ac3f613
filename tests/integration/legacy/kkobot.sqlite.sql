-- Kkobot: no processes and no schedule log, pings that name a room, and columns that nobody else fills in.

CREATE TABLE kb_bot_devices (
  id integer PRIMARY KEY AUTOINCREMENT,
  bot_name varchar(30) COLLATE NOCASE NOT NULL,
  device_id varchar(100) COLLATE NOCASE NOT NULL,
  ip_address varchar(45) COLLATE NOCASE,
  client_type varchar(50) COLLATE NOCASE,
  client_version varchar(20) COLLATE NOCASE,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'denied', 'revoked', 'blocked')),
  approved_at datetime,
  rejection_reason text COLLATE NOCASE,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime,
  UNIQUE (device_id)
);

CREATE TABLE kb_rooms (
  room_id varchar(100) COLLATE NOCASE NOT NULL,
  room_name varchar(255) COLLATE NOCASE NOT NULL,
  bot_name varchar(30) COLLATE NOCASE NOT NULL,
  room_concurrency integer DEFAULT 1,
  room_owners text COLLATE NOCASE,
  log_settings text COLLATE NOCASE,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'denied', 'revoked', 'blocked')),
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime,
  PRIMARY KEY (room_id, bot_name)
);

CREATE TABLE kb_chat_logs (
  id integer PRIMARY KEY AUTOINCREMENT,
  channel_id varchar(50) COLLATE NOCASE,
  user_hash varchar(100) COLLATE NOCASE,
  room_name varchar(255) COLLATE NOCASE,
  sender varchar(100) COLLATE NOCASE,
  message text COLLATE NOCASE,
  directive varchar(30) COLLATE NOCASE,
  message_type varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'normal',
  is_meaningful boolean NOT NULL DEFAULT 0,
  bot_name varchar(30) COLLATE NOCASE,
  is_mention boolean NOT NULL DEFAULT 0,
  is_group_chat boolean NOT NULL DEFAULT 0,
  log_id varchar(50) COLLATE NOCASE,
  client_timestamp datetime,
  server_timestamp datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  is_bot boolean NOT NULL DEFAULT 0,
  is_our_bot_response boolean NOT NULL DEFAULT 0
);
CREATE INDEX kb_chat_logs_idx_channel ON kb_chat_logs (channel_id);

CREATE TABLE kb_ping_monitor (
  id integer PRIMARY KEY AUTOINCREMENT,
  bot_name varchar(30) COLLATE NOCASE NOT NULL,
  channel_id varchar(50) COLLATE NOCASE NOT NULL,
  room_name varchar(255) COLLATE NOCASE,
  user_hash varchar(100) COLLATE NOCASE,
  client_timestamp datetime,
  server_timestamp datetime,
  rtt_ms integer,
  client_status text CHECK (client_status IS NULL OR json_valid(client_status)),
  server_status text CHECK (server_status IS NULL OR json_valid(server_status)),
  is_manual boolean NOT NULL DEFAULT 0,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE kb_system_monitor (
  id integer PRIMARY KEY AUTOINCREMENT,
  server_name varchar(50) COLLATE NOCASE NOT NULL,
  cpu_percent float,
  memory_total integer,
  memory_used integer,
  memory_percent float,
  disk_usage_percent float,
  active_connections integer,
  message_queue_size integer,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE kb_schedule (
  id integer PRIMARY KEY AUTOINCREMENT,
  title varchar(255) COLLATE NOCASE NOT NULL,
  created_by_type varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'branch' CHECK (created_by_type IN ('distributor', 'agency', 'branch')),
  created_by_id varchar(50) COLLATE NOCASE NOT NULL DEFAULT '',
  created_by_mb_id varchar(50) COLLATE NOCASE NOT NULL DEFAULT '',
  target_bot_name varchar(30) COLLATE NOCASE NOT NULL,
  target_room_id varchar(100) COLLATE NOCASE NOT NULL,
  message_text text COLLATE NOCASE,
  message_images_1 text CHECK (message_images_1 IS NULL OR json_valid(message_images_1)),
  message_images_2 text CHECK (message_images_2 IS NULL OR json_valid(message_images_2)),
  image_storage_mode varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'file' CHECK (image_storage_mode IN ('file', 'base64')),
  send_interval_seconds integer DEFAULT 1,
  media_wait_time_1 integer DEFAULT 0,
  media_wait_time_2 integer DEFAULT 0,
  schedule_type varchar(20) COLLATE NOCASE NOT NULL CHECK (schedule_type IN ('once', 'weekly', 'daily')),
  schedule_date date,
  schedule_time time NOT NULL,
  schedule_times text CHECK (schedule_times IS NULL OR json_valid(schedule_times)),
  schedule_weekdays varchar(70),
  valid_from datetime NOT NULL,
  valid_until datetime NOT NULL,
  status varchar(20) COLLATE NOCASE DEFAULT 'active' CHECK (status IN ('active', 'inactive', 'completed', 'error')),
  last_sent_at datetime,
  next_send_at datetime,
  send_count integer DEFAULT 0,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);

