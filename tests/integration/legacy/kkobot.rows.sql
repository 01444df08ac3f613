INSERT INTO kb_bot_devices
  (bot_name, device_id, ip_address, client_type, client_version, status, approved_at, created_at)
VALUES
  ('별빛봇', 'f60718293a4b5c6d', '192.168.1.30', 'MessengerBotR', '3.3.0', 'approved', '2025-06-20 20:00:00', '2025-06-20 19:58:12'),
  ('별빛봇', '0718293a4b5c6d7e', '192.168.1.31', 'MessengerBotR', '3.3.0', 'pending', NULL, '2025-06-21 07:12:00');

INSERT INTO kb_rooms
  (room_id, room_name, bot_name, room_concurrency, room_owners, log_settings, status, created_at)
VALUES
  ('18412345678901234', '성경 읽기 모임 📖', '별빛봇', 1, '["목사님"]', '{"enabled":true}', 'approved', '2025-06-20 20:01:00'),
  ('18412345678901235', '로또 연구소', '별빛봇', 1, '홍길동, 박민수', '', 'pending', '2025-06-21 08:00:00');

INSERT INTO kb_chat_logs
  (channel_id, user_hash, room_name, sender, message, directive, message_type, is_meaningful, bot_name, is_mention, is_group_chat, log_id, client_timestamp, server_timestamp, is_bot, is_our_bot_response)
VALUES
  ('18412345678901234', '9a8b7c6d', '성경 읽기 모임 📖', '최지원', '오늘 말씀 감사합니다 🙏🏻', NULL, 'normal', 1, '별빛봇', 0, 1, '3312000000000000001', '2025-06-22 06:00:00', '2025-06-22 06:00:01', 0, 0),
  ('18412345678901234', NULL, '성경 읽기 모임 📖', '별빛봇', '시편 23편 1절 …', '# [시편', 'bible_search', 1, '별빛봇', 0, 1, '0b54c1de-6a0f-4b8e-9d2b-0f6f1f6f2a10', '2025-06-21 21:00:02', '2025-06-22 06:00:02', 1, 1);

INSERT INTO kb_ping_monitor
  (bot_name, channel_id, room_name, user_hash, client_timestamp, server_timestamp, rtt_ms, client_status, server_status, is_manual, created_at)
VALUES
  ('별빛봇', '18412345678901234', '성경 읽기 모임 📖', '9a8b7c6d', '2025-06-22 06:00:00.125', '2025-06-22 06:00:00.250', 125, '{"memory":{"percent":43.5},"rooms":12}', '{"total_clients":2}', 0, '2025-06-22 06:00:00');

INSERT INTO kb_system_monitor
  (server_name, cpu_percent, memory_total, memory_used, memory_percent, disk_usage_percent, active_connections, message_queue_size, created_at)
VALUES
  ('kkobot-live', 2.5, 4109316096, 2202009600, 53.5, 61.25, 2, 0, '2025-06-22 06:00:00');

INSERT INTO kb_schedule
  (id, title, target_bot_name, target_room_id, message_text, message_images_1, image_storage_mode, schedule_type, schedule_time, schedule_times, valid_from, valid_until, status, next_send_at, created_at, updated_at)
VALUES
  (1, '새벽 말씀', '별빛봇', '18412345678901234', '오늘의 말씀 🌅', '[{"base64":"iVBORw0KGgo=","name":"dawn.png"}]', 'base64', 'daily', '05:30:00', '["05:30"]', '2025-06-01 00:00:00', '2035-12-31 23:59:59', 'active', '2025-06-23 05:30:00', '2025-06-20 20:10:00', '2025-06-20 20:10:00');
